/** The four lists of descriptors that the control descriptor of a boot firmware table names. */
import { isSet, type Descriptor } from './nbft-bytes.ts';
import type { NbftPart } from './nbft-table.ts';

/** Structure IDs (figure 5). */
export const ID = {
  control: 1,
  host: 2,
  hfi: 3,
  ssns: 4,
  security: 5,
  discovery: 6,
  tcp: 7,
  extended: 9,
};

/** Where the control descriptor says that a list is, and how it is told. */
export interface ListForm {
  readonly part: NbftPart;
  /** Offset of its fields in the control descriptor: offset, length of one, version, number. */
  readonly control: number;
  readonly id: number;
  readonly minLength: number;
  /** Whether a descriptor of it means a connection. */
  readonly identifies: boolean;
  /** Whether the descriptor at hand is in use. */
  valid(descriptor: Descriptor): boolean;
}

export const HFIS: ListForm = {
  part: 'HFI',
  control: 16,
  id: ID.hfi,
  minLength: 32,
  identifies: false,
  valid: (descriptor) => isSet(descriptor.u8(2), 0),
};
export const SUBSYSTEMS: ListForm = {
  part: 'SSNS',
  control: 24,
  id: ID.ssns,
  minLength: 128,
  identifies: true,
  valid: (descriptor) => isSet(descriptor.u16(3), 0),
};
export const SECURITIES: ListForm = {
  part: 'security profile',
  control: 32,
  id: ID.security,
  minLength: 64,
  identifies: false,
  valid: (descriptor) => isSet(descriptor.u16(2), 0),
};
export const DISCOVERIES: ListForm = {
  part: 'discovery',
  control: 40,
  id: ID.discovery,
  minLength: 32,
  identifies: true,
  valid: (descriptor) => isSet(descriptor.u8(1), 0),
};
