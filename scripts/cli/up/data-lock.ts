/**
 * One `bulkhead up` per data folder. The lock is a listening socket in Linux's abstract namespace,
 * named after the folder's device and inode: the kernel gives a name to one process only and takes
 * it back when that process ends, however it ends, so there is no stale lock to judge and no race
 * between judging and taking (a pid file has both). Two paths to one folder are the same lock.
 */
import { statSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { CommandError, systemCode } from '../command-error.ts';

export interface DataLock {
  release(): Promise<void>;
}

/** Takes the lock or throws a `CommandError`. The folder must exist. */
export async function lockDataFolder(folder: string): Promise<DataLock> {
  const { dev, ino } = statSync(folder);
  const server = createServer((socket) => socket.destroy());
  try {
    await listen(server, `\0bulkhead-up-${dev}-${ino}`);
  } catch (error) {
    if (systemCode(error) !== 'EADDRINUSE') throw error;
    throw new CommandError(
      `another bulkhead up already runs on ${folder}: stop it, or name another folder with --data`,
      { cause: error },
    );
  }
  return { release: () => close(server) };
}

function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(path, resolve);
  return promise;
}

function close(server: Server): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.close((error) => (error === undefined ? resolve() : reject(error)));
  return promise;
}
