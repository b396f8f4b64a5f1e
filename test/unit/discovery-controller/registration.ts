/** Builds the data of a DIM command as a host sends it, byte by byte (TP8010). */
export function hostRegistration(options: {
  readonly hostnqn?: string;
  readonly symbolicName?: string;
}): Buffer {
  const hostnqn = options.hostnqn ?? 'nqn.2024-01.org.example:host';
  const name = Buffer.from(options.symbolicName ?? '');
  const padded = Math.ceil(name.length / 4) * 4;
  const attributes = [exat(1, Buffer.from('0123456789abcdef0123456789abcdef', 'hex'))];
  if (name.length > 0) {
    attributes.push(exat(2, Buffer.concat([name, Buffer.alloc(padded - name.length, ' ')])));
  }
  const tail = Buffer.concat(attributes);
  const data = Buffer.alloc(1024 + 1032 + tail.length);
  data.writeUInt32LE(data.length, 0);
  data.writeBigUInt64LE(1n, 8);
  data.writeUInt16LE(2, 16);
  data.writeUInt16LE(1, 18);
  data.writeUInt16LE(0x5f, 22);
  data.write(hostnqn, 24);
  data.write('host.example.org', 280);
  data.write('Linux 6.12', 536);
  const die = 1024;
  data.writeUInt8(3, die);
  data.writeUInt8(1, die + 1);
  data.write(hostnqn, die + 256);
  data.writeUInt32LE(1032 + tail.length, die + 1024);
  data.writeUInt16LE(attributes.length, die + 1028);
  tail.copy(data, die + 1032);
  return data;
}

function exat(type: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(type, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, value]);
}
