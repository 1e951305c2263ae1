/**
 * What a watched program says between its changes of the disk, in the order in which both happened:
 * what it began, what was acknowledged, what it orders of the disk's faults.
 */
import { openSync, writeSync } from 'node:fs';
import type { Action } from './shard-plan.ts';

export type Mark =
  | { began: number; action?: Action }
  /** `version` of the shard's write, where there is one. */
  | { acknowledged: number; version?: number }
  /** With a code of the error table. */
  | { refused: number; code: string }
  /** What a reader saw in a shard, told as `ledger.ts` does, when the disk was well again. */
  | { saw: string; shard: number }
  /** All that was told of it is void. */
  | { dropped: number }
  /** A new process has found the folder of the run before. */
  | { restarted: true }
  /** What follows is of another run, in the folder of this name. */
  | { run: string };

export class Marks {
  readonly #descriptor: number;

  constructor(path: string) {
    this.#descriptor = openSync(path, 'w');
  }

  say(mark: Mark): void {
    writeSync(this.#descriptor, JSON.stringify(mark));
  }

  /** A command of the shim, without its exclamation mark; whether the last one's call came. */
  order(command: string): boolean {
    return writeSync(this.#descriptor, `!${command}`) > 0;
  }
}

/** Undefined for a command. */
export function parseMark(data: Buffer): Mark | undefined {
  const text = data.toString();
  return text.startsWith('!') ? undefined : JSON.parse(text);
}
