/**
 * Signed heads of the audit chains in files that are only ever appended to (`anchor-files.ts`), apart from the
 * database: who cuts a chain, or puts an older database in its place, contradicts what was signed before.
 *
 * After each minute, and after each thousand entries, there is a head of every chain that has grown since the
 * last time, and one of the chain `anchors`: its hash is SHA-256 over the heads of all chains,
 * "chain sequence hash\n" each, by name, so that no line can be left out. That one is written when nothing has
 * happened, too, so an hour without a line is an hour in which nobody kept the log. A checkpoint stands here before
 * anything that it says was pruned is gone.
 */
import { hash, type KeyObject } from 'node:crypto';
import {
  ANCHORS_CHAIN,
  isSigned,
  parseSigned,
  type SignedCheckpoint,
  type SignedHead,
  signHead,
} from '../../shared/crypto/signed-lines.ts';
import type { AnchorFiles } from './anchor-files.ts';
import { chainProblem } from './audit-check.ts';
import type { AuditTable } from './audit-table.ts';
import type { BrokenChain, ChainHead } from './entries.ts';

export interface AuditAnchorsDeps {
  files: AnchorFiles;
  table: AuditTable;
  keys: { private: KeyObject; public: KeyObject };
}

export class AuditAnchors {
  readonly #files: AnchorFiles;
  readonly #table: AuditTable;
  readonly #keys: { private: KeyObject; public: KeyObject };
  /** The last anchor of each chain. */
  readonly #heads = new Map<string, SignedHead>();
  /** The same of checkpoints. */
  readonly #checkpoints = new Map<string, SignedCheckpoint>();
  /** Chains that are not what was anchored; their next heads are anchored all the same. */
  readonly #broken = new Set<string>();

  constructor({ files, table, keys }: AuditAnchorsDeps) {
    this.#files = files;
    this.#table = table;
    this.#keys = keys;
  }

  /** How often chains were anchored, as far as the files tell. */
  get count(): number {
    return this.#heads.get(ANCHORS_CHAIN)?.head.sequence ?? 0;
  }

  /** Holds the chains against the last anchors; those that are not what was signed. */
  check(): BrokenChain[] {
    this.#read();
    const broken: BrokenChain[] = [];
    for (const [chain, { head }] of this.#heads) {
      if (chain === ANCHORS_CHAIN) continue;
      const signed = { head, checkpoint: this.#checkpoints.get(chain)?.checkpoint };
      const reason = chainProblem(this.#table, signed, this.#keys.public);
      if (reason === undefined) continue;
      const { sequence, at } = head;
      this.#broken.add(chain);
      broken.push({ chain, reason, sequence, at, end: this.#table.head(chain).sequence });
    }
    if (!this.#files.isSound) {
      const { sequence, at } = this.#heads.get(ANCHORS_CHAIN)?.head ?? { sequence: 0, at: '' };
      broken.push({ chain: ANCHORS_CHAIN, reason: 'anchors', sequence, at, end: sequence });
    }
    return broken;
  }

  /** Signs what has grown; durable on return. */
  anchor(at: string): void {
    const heads = this.#table.chains();
    const grown = heads.filter(({ chain, sequence }) => {
      return this.#heads.get(chain)?.head.sequence !== sequence || this.#broken.has(chain);
    });
    const text = heads.map((head) => `${head.chain} ${head.sequence} ${head.hash}\n`).join('');
    const all = { chain: ANCHORS_CHAIN, sequence: this.count + 1, hash: hash('sha256', text) };
    const signed = [...grown, all].map((head) => this.#sign(head, at));
    this.#append(signed, at);
    for (const one of signed) this.#heads.set(one.head.chain, one);
    this.#broken.clear();
  }

  /** Durable on return; nothing to do when it is there. */
  anchorCheckpoint(signed: SignedCheckpoint): void {
    const { chain, sequence, at } = signed.checkpoint;
    if (this.#checkpoints.get(chain)?.checkpoint.sequence === sequence) return;
    this.#append([signed], at);
    this.#checkpoints.set(chain, signed);
  }

  #append(signed: readonly (SignedHead | SignedCheckpoint)[], at: string): void {
    const carried = () => [...this.#heads.values(), ...this.#checkpoints.values()].map(lineOf);
    this.#files.append(signed.map(lineOf), at, carried);
  }

  #sign({ chain, sequence, hash: last }: ChainHead & { chain: string }, at: string): SignedHead {
    return signHead({ at, chain, hash: last, sequence }, this.#keys.private);
  }

  /** From the end on: what a chain's last lines say is what counts, and the others need not be verified. */
  #read(): void {
    const key = this.#keys.public;
    for (const line of this.#files.takeLines().toReversed()) {
      const signed = parseSigned('head', line);
      if (signed !== undefined) {
        const { chain } = signed.head;
        if (!this.#heads.has(chain) && isSigned('head', signed, key))
          this.#heads.set(chain, signed);
        continue;
      }
      const pruned = parseSigned('checkpoint', line);
      if (pruned === undefined || this.#checkpoints.has(pruned.checkpoint.chain)) continue;
      if (isSigned('checkpoint', pruned, key))
        this.#checkpoints.set(pruned.checkpoint.chain, pruned);
    }
  }
}

function lineOf(signed: SignedHead | SignedCheckpoint): string {
  return JSON.stringify(signed);
}
