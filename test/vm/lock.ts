/**
 * A lock between processes that needs no clean-up: the kernel gives an abstract socket's name back
 * when its holder ends, however it ends.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Called once when the lock is held by another process and this one begins to wait. */
type OnWait = () => void;

/** Takes the lock called `name`, waits while another process has it. Call the result to release. */
export async function lock(name: string, onWait: OnWait): Promise<() => Promise<void>> {
  const address = addressOf(name);
  let waiting = false;
  for (;;) {
    const held = await tryListen(address);
    if (held !== undefined) return held;
    if (!waiting) onWait();
    waiting = true;
    await untilClosed(address);
  }
}

/** Takes the lock called `name`, or gives undefined when another process has it. */
export function tryLock(name: string): Promise<(() => Promise<void>) | undefined> {
  return tryListen(addressOf(name));
}

function addressOf(name: string): string {
  return `\0nvme-stas-node-${createHash('sha256').update(name).digest('hex')}`;
}

async function tryListen(address: string): Promise<(() => Promise<void>) | undefined> {
  const waiters = new Set<Socket>();
  const server: Server = createServer((socket) => {
    waiters.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => waiters.delete(socket));
  });
  try {
    server.listen(address);
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
  return async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of waiters) socket.destroy();
    await closed;
  };
}

/** Resolves when the holder of the socket has gone, or there is none. */
async function untilClosed(address: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect(address);
    socket.on('error', () => undefined); // there is none any more
    socket.on('close', () => resolve());
    socket.resume();
  });
}
