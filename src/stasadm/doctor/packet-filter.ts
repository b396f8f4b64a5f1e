/**
 * What can be said of a packet filter without simulating it: whether it drops what no rule lets
 * pass, and for which ports it has a rule that accepts. Pure; what is not understood is left out,
 * so this is good for hints only.
 */

export interface PortRange {
  readonly first: number;
  readonly last: number;
}

export interface PacketFilter {
  /** Whether what arrives is dropped or rejected unless a rule accepts it. */
  readonly closedInput: boolean;
  /** The same for what is sent. */
  readonly closedOutput: boolean;
  /** Destination ports, of TCP or UDP, that some rule accepts. */
  readonly accepted: readonly PortRange[];
}

export const NO_FILTER: PacketFilter = { closedInput: false, closedOutput: false, accepted: [] };

export function mergeFilters(a: PacketFilter, b: PacketFilter): PacketFilter {
  return {
    closedInput: a.closedInput || b.closedInput,
    closedOutput: a.closedOutput || b.closedOutput,
    accepted: [...a.accepted, ...b.accepted],
  };
}

export function accepts({ accepted }: PacketFilter, port: number): boolean {
  return accepted.some(({ first, last }) => first <= port && port <= last);
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function rangesOf(value: unknown): readonly PortRange[] {
  if (typeof value === 'number') return [{ first: value, last: value }];
  const { range, set } = fieldsOf(value);
  const [first, last] = listOf(range);
  if (typeof first === 'number' && typeof last === 'number') return [{ first, last }];
  return listOf(set).flatMap((item) =>
    typeof item === 'object' && fieldsOf(item)['set'] !== undefined ? [] : rangesOf(item),
  );
}

function destinationPorts(match: Fields): readonly PortRange[] {
  const payload = fieldsOf(fieldsOf(match['left'])['payload']);
  const isEqual = match['op'] === '==' || match['op'] === 'in';
  return payload['field'] === 'dport' && isEqual ? rangesOf(match['right']) : [];
}

/** Names of base chains by what they see: `inet filter input` for example. */
interface BaseChains {
  readonly input: Set<string>;
  readonly output: Set<string>;
}

/**
 * Reads what `nft -j list ruleset` prints (libnftables-json(5)). Undefined for what is not of that
 * form.
 */
export function parseNftRuleset(text: string): PacketFilter | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { nftables } = fieldsOf(document);
  if (!Array.isArray(nftables)) return undefined;
  const chains: BaseChains = { input: new Set(), output: new Set() };
  let closedInput = false;
  let closedOutput = false;
  const accepted: PortRange[] = [];
  for (const item of listOf(nftables)) {
    const { chain, rule } = fieldsOf(item);
    if (chain !== undefined) {
      const { family, hook, name, policy, table, type } = fieldsOf(chain);
      if (type !== 'filter' || (hook !== 'input' && hook !== 'output')) continue;
      chains[hook].add([family, table, name].map(String).join(' '));
      if (policy !== 'drop') continue;
      if (hook === 'input') closedInput = true;
      else closedOutput = true;
      continue;
    }
    const { chain: name, expr, family, table } = fieldsOf(rule);
    const statements = listOf(expr).map(fieldsOf);
    const matches = statements.flatMap(({ match }) =>
      match === undefined ? [] : [fieldsOf(match)],
    );
    if (statements.some((statement) => 'accept' in statement)) {
      accepted.push(...matches.flatMap(destinationPorts));
    }
    const ends = statements.some((statement) => 'drop' in statement || 'reject' in statement);
    if (!ends || matches.length > 0) continue;
    const place = [family, table, name].map(String).join(' ');
    if (chains.input.has(place)) closedInput = true;
    if (chains.output.has(place)) closedOutput = true;
  }
  return { closedInput, closedOutput, accepted };
}

function iptablesPorts(words: readonly string[]): readonly PortRange[] {
  const ports: PortRange[] = [];
  words.forEach((word, index) => {
    if (word !== '--dport' && word !== '--dports' && word !== '--destination-port') return;
    for (const part of (words[index + 1] ?? '').split(',')) {
      const [, first, last] = /^([0-9]{1,5})(?::([0-9]{1,5}))?$/.exec(part) ?? [];
      if (first !== undefined) ports.push({ first: Number(first), last: Number(last ?? first) });
    }
  });
  return ports;
}

/** Reads what iptables-save(8) prints. */
export function parseIptablesSave(text: string): PacketFilter {
  let table = '';
  let closedInput = false;
  let closedOutput = false;
  const accepted: PortRange[] = [];
  const close = (chain: string): void => {
    if (chain === 'INPUT') closedInput = true;
    if (chain === 'OUTPUT') closedOutput = true;
  };
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line.slice(1).trim();
    if (table !== 'filter') continue;
    const words = line.trim().split(/[ \t]+/);
    const [first = '', chain = ''] = words;
    if (first.startsWith(':') && chain === 'DROP') close(first.slice(1));
    if (first !== '-A') continue;
    const target = words[words.indexOf('-j') + 1] ?? '';
    if (target === 'ACCEPT') accepted.push(...iptablesPorts(words));
    // `-A INPUT -j DROP`: nothing that it depends on.
    if (words[2] === '-j' && (target === 'DROP' || target === 'REJECT')) close(chain);
  }
  return { closedInput, closedOutput, accepted };
}
