import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** Something on 127.0.0.1 that answers an ICReq as an NVMe/TCP target does, and no more. */
export interface IcServer {
  readonly port: number;
  close(): Promise<void>;
}

export async function startIcServer(): Promise<IcServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => {
      const answer = Buffer.alloc(128);
      answer.set([1, 0, 128, 0, 128], 0);
      answer.writeUInt32LE(0x1_0000, 12);
      socket.write(answer);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}
