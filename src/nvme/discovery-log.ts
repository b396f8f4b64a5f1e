/** Subtype of a discovery log page entry (NVMe base 2.1, figure 294, SUBTYPE). */
export type EntrySubtype = 'nvme' | 'referral' | 'discovery';

/** One discovery log page entry whose fields were checked; strings are trimmed, numbers decimal. */
export interface DiscoveryEntry {
  readonly trtype: string;
  readonly adrfam: string;
  readonly subtype: EntrySubtype;
  readonly treq: number;
  readonly portid: number;
  readonly trsvcid: string;
  readonly subnqn: string;
  readonly traddr: string;
  readonly cntlid: number;
  readonly asqsz: number;
  readonly eflags: number;
}
