/**
 * Says in a sentence that an address can not be had, before any process starts. The coordinator
 * finds out by itself too, but by then its words are lines of a log.
 */
import { createServer } from 'node:net';
import { CommandError, systemCode } from '../command-error.ts';

/** Throws a `CommandError` when nothing can listen there. Port 0 (any free one) always passes. */
export async function checkPortFree(host: string, port: number, optionName: string): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port, exclusive: true }, resolve);
  try {
    await promise;
  } catch (error) {
    throw new CommandError(explain(systemCode(error), `${host}:${port}`, optionName), {
      cause: error,
    });
  }
  await new Promise((closed) => server.close(closed));
}

function explain(code: string | undefined, address: string, optionName: string): string {
  switch (code) {
    case 'EADDRINUSE':
      return `${address} is already in use: stop the program that has it, or choose another with ${optionName}`;
    case 'EACCES':
      return `this user may not listen on ${address}: choose a port above 1023 with ${optionName}`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${address} is not an address of this machine: choose another with --host`;
    default:
      return `cannot listen on ${address} (${code ?? 'unknown error'})`;
  }
}
