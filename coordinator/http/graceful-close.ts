/**
 * Ends a server with its last answer. `close()` alone waits for connections, not for requests:
 * one that a client keeps open after its answer, or has opened in advance and never used (pools do
 * both), would hold it for a minute.
 */
import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Clock } from '../../shared/base/clock.ts';

const SWEEP_MS = 20;

export class GracefulClose {
  readonly #server: FastifyInstance;
  readonly #clock: Clock;
  readonly #sockets = new Set<Socket>();

  constructor(server: FastifyInstance, clock: Clock) {
    this.#server = server;
    this.#clock = clock;
    server.server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Stops listening, lets requests under way finish, and ends each connection after its last. */
  async close(): Promise<void> {
    let cancel = (): void => undefined;
    const sweep = (): void => {
      this.#endIdle();
      cancel = this.#clock.after(SWEEP_MS, sweep);
    };
    const closed = this.#server.close();
    sweep();
    try {
      await closed;
    } finally {
      cancel();
    }
  }

  /** Node does not count a connection as idle before its first request. */
  #endIdle(): void {
    this.#server.server.closeIdleConnections();
    for (const socket of this.#sockets) {
      if (socket.bytesRead === 0) socket.destroy();
    }
  }
}
