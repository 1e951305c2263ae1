/**
 * Signed heads of the audit chains in a file that is only ever appended to, apart from the database: who
 * cuts a chain, or puts an older database in its place, contradicts what was signed before.
 *
 *   audit-anchors.jsonl    signed lines (`shared/crypto/signed-lines.ts`): heads and checkpoints
 *
 * After each minute, and after each thousand entries, there is a head of every chain that has grown since the
 * last time, and one of the chain `anchors`: its hash is SHA-256 over the heads of all chains,
 * "chain sequence hash\n" each, by name. That one is written when nothing has happened, too, so an hour without
 * a line is an hour in which nobody kept the log. A checkpoint stands here before anything that it says was pruned
 * is gone.
 */
import { hash, type KeyObject } from 'node:crypto';
import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder } from '../../shared/base/durable-folder.ts';
import {
  isSigned,
  parseSigned,
  type SignedCheckpoint,
  type SignedHead,
  signHead,
} from '../../shared/crypto/signed-lines.ts';
import { chainProblem } from './audit-check.ts';
import type { AuditTable } from './audit-table.ts';
import type { BrokenChain, ChainHead } from './entries.ts';

const ANCHORS_CHAIN = 'anchors';
/** What is read of the file at a start: the anchors of some hours. */
const TAIL_BYTES = 1024 * 1024;

export class AuditAnchors {
  readonly #table: AuditTable;
  readonly #keys: { private: KeyObject; public: KeyObject };
  readonly #file: number;
  /** Heads that were anchored, by chain. */
  readonly #anchored = new Map<string, number>();
  /** The same of checkpoints. */
  readonly #checkpoints = new Map<string, SignedCheckpoint>();
  #count = 0;

  constructor(
    file: string,
    { table, keys }: { table: AuditTable; keys: { private: KeyObject; public: KeyObject } },
  ) {
    this.#table = table;
    this.#keys = keys;
    this.#file = openSync(file, 'a+', 0o600);
    try {
      fsyncSync(this.#file);
      syncFolder(dirname(file));
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  /** How often chains were anchored, as far as the file tells. */
  get count(): number {
    return this.#count;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Holds the chains against the last anchors; those that are not what was signed. */
  check(): BrokenChain[] {
    const last = this.#readTail();
    const broken: BrokenChain[] = [];
    for (const [chain, { head }] of last) {
      if (chain === ANCHORS_CHAIN) {
        this.#count = head.sequence;
        continue;
      }
      const signed = { head, checkpoint: this.#checkpoints.get(chain)?.checkpoint };
      const reason = chainProblem(this.#table, signed, this.#keys.public);
      const { sequence, at } = head;
      if (reason === undefined) this.#anchored.set(chain, sequence);
      else broken.push({ chain, reason, sequence, at, end: this.#table.head(chain).sequence });
    }
    return broken;
  }

  /** Durable on return; nothing to do when it is there. */
  anchorCheckpoint(signed: SignedCheckpoint): void {
    const { chain, sequence } = signed.checkpoint;
    if (this.#checkpoints.get(chain)?.checkpoint.sequence === sequence) return;
    this.#append([JSON.stringify(signed)]);
    this.#checkpoints.set(chain, signed);
  }

  /** Signs what has grown; durable on return. */
  anchor(at: string): void {
    const heads = this.#table.chains();
    const grown = heads.filter(({ chain, sequence }) => this.#anchored.get(chain) !== sequence);
    const lines = grown.map((head) => this.#sign(head, at));
    this.#count += 1;
    const text = heads.map((head) => `${head.chain} ${head.sequence} ${head.hash}\n`).join('');
    const all = { chain: ANCHORS_CHAIN, sequence: this.#count, hash: hash('sha256', text) };
    lines.push(this.#sign(all, at));
    this.#append(lines);
    for (const { chain, sequence } of grown) this.#anchored.set(chain, sequence);
  }

  /** Durable on return. */
  #append(lines: readonly string[]): void {
    // What a crash has left in part ends where a line begins, and does not reach into one that was whole.
    // All of it or an error: a full disk takes the beginning of a write.
    writeFileSync(this.#file, `\n${lines.join('\n')}\n`);
    fsyncSync(this.#file);
  }

  #sign({ chain, sequence, hash: last }: ChainHead & { chain: string }, at: string): string {
    return JSON.stringify(signHead({ at, chain, hash: last, sequence }, this.#keys.private));
  }

  /** The last head of each chain; takes note of checkpoints. */
  #readTail(): Map<string, SignedHead> {
    const last = new Map<string, SignedHead>();
    const { size } = fstatSync(this.#file);
    const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(this.#file, bytes, 0, bytes.length, size - bytes.length);
    for (const line of bytes.toString('utf8').split('\n')) {
      const head = parseSigned('head', line);
      if (head && isSigned('head', head, this.#keys.public)) last.set(head.head.chain, head);
      const pruned = parseSigned('checkpoint', line);
      if (pruned === undefined || !isSigned('checkpoint', pruned, this.#keys.public)) continue;
      this.#checkpoints.set(pruned.checkpoint.chain, pruned);
    }
    return last;
  }
}
