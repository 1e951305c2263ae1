/** The flooding process, as the benchmark that gives it orders sees it. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FloodOrder, FloodReport } from './flood-process.ts';

const PROGRAM = fileURLToPath(new URL('./flood-process.ts', import.meta.url));

export class Flood {
  readonly #process: ChildProcess = fork(PROGRAM);

  /** One order at a time. Rejects when the process ends before it has told. */
  async run(order: FloodOrder): Promise<FloodReport> {
    const { promise, resolve, reject } = Promise.withResolvers<FloodReport>();
    const gone = (code: number | null): void => {
      reject(new Error(`the flooding process ended (${code})`));
    };
    this.#process.once('message', resolve);
    this.#process.once('exit', gone);
    this.#process.send(order);
    return promise.finally(() => this.#process.off('exit', gone));
  }

  close(): void {
    if (this.#process.connected) this.#process.disconnect();
  }
}
