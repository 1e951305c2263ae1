/**
 * Checks files of anchors (`coordinator/ledger/anchor-files.ts`) with the public key alone, one after the other:
 *
 *   file n    begins with its signed number and the SHA-256 of file n - 1
 *   lines     each is signed, but for those that a crash has left in part, which are counted: they are among the last of
 *             their file, after the anchors before the last ones
 *   anchors   have numbers without gaps, and each has the hash of the heads of all chains at that time: who takes a
 *             line away, or puts an earlier one in its place, contradicts the next of them
 */
import { hash, type KeyObject } from 'node:crypto';
import { ANCHORS_CHAIN, type AuditHead, isOfKind, isSigned, parseSigned } from './signed-lines.ts';

export interface AnchorsVerdict {
  /** Numbers of the first and the last file. */
  first: number | undefined;
  last: number | undefined;
  /** How often chains were anchored, as far as these files tell, and when for the last time. */
  anchors: number;
  anchoredAt: string | undefined;
  /** Lines that are there in part. */
  torn: number;
  problem: { file: number; line: number; problem: string } | undefined;
}

export class AnchorsVerifier {
  readonly #key: KeyObject;
  /** Where each chain is. */
  readonly #heads = new Map<string, AuditHead>();
  #closed: string | undefined;
  /** Lines of the file that are those of the one before. */
  #carriedLines = 0;
  /** Since the last anchors; what is missing there is not known to have been taken away. */
  #isTorn = false;
  /** Anchors of the file since its first line that is there in part. */
  #afterTorn: number | undefined;
  #place = { file: 0, line: 0 };
  readonly #verdict: AnchorsVerdict = {
    first: undefined,
    last: undefined,
    anchors: 0,
    anchoredAt: undefined,
    torn: 0,
    problem: undefined,
  };

  constructor(key: KeyObject) {
    this.#key = key;
  }

  get verdict(): AnchorsVerdict {
    return this.#verdict;
  }

  /** The next file, in the order of their numbers. */
  take(number: number, bytes: Uint8Array): void {
    if (this.#verdict.problem !== undefined) return;
    const lines = Buffer.from(bytes).toString('utf8').split('\n');
    this.#place = { file: number, line: 1 };
    this.#afterTorn = undefined;
    this.#note(this.#checkStart(number, lines[0] ?? ''));
    for (const line of lines.slice(1)) {
      if (this.#verdict.problem !== undefined) return;
      this.#place.line += 1;
      this.#note(this.#checkLine(line));
    }
    this.#closed = hash('sha256', bytes);
    this.#verdict.first ??= number;
    this.#verdict.last = number;
  }

  #note(problem: string | undefined): void {
    if (problem !== undefined) this.#verdict.problem = { ...this.#place, problem };
  }

  #checkStart(number: number, line: string): string | undefined {
    const before = this.#verdict.last;
    if (before !== undefined && number !== before + 1) return `file ${before + 1} is missing`;
    const start = parseSigned('file', line);
    if (start === undefined || !isSigned('file', start, this.#key)) {
      return 'the first line is not that of a file, signed by the key';
    }
    const { number: signed, closed, carried } = start.file;
    this.#carriedLines = 1 + carried;
    if (signed !== number) return `it is file ${signed} by its first line`;
    if (before !== undefined && closed !== this.#closed) {
      return `file ${before} is not as it was when it was closed`;
    }
    return undefined;
  }

  #checkLine(line: string): string | undefined {
    const value = parsed(line);
    if (value === undefined) {
      if (line !== '') this.#noteTorn();
      return undefined;
    }
    if (isOfKind('checkpoint', value) && isSigned('checkpoint', value, this.#key)) return undefined;
    if (!isOfKind('head', value) || !isSigned('head', value, this.#key)) {
      return 'it is not signed by the key';
    }
    return this.#checkHead(value.head);
  }

  /** A crash leaves lines in part; what they were about stands in later ones. */
  #noteTorn(): void {
    this.#verdict.torn += 1;
    this.#isTorn = true;
    this.#afterTorn ??= 0;
  }

  #checkHead(head: AuditHead): string | undefined {
    const { chain, sequence, at } = head;
    const before = this.#heads.get(chain);
    this.#heads.set(chain, head);
    if (before?.sequence === sequence && before.hash !== head.hash) {
      return `entry ${sequence} of ${chain} is not the one that was signed at ${before.at}`;
    }
    if (before !== undefined && sequence < before.sequence) {
      return `${chain} ends with entry ${sequence}, and entry ${before.sequence} was signed at ${before.at}`;
    }
    if (chain !== ANCHORS_CHAIN || sequence === before?.sequence) return undefined;
    if (before !== undefined && sequence !== before.sequence + 1) {
      return `anchors ${before.sequence + 1} to ${sequence - 1} are missing`;
    }
    this.#verdict.anchors += 1;
    this.#verdict.anchoredAt = at;
    if (this.#afterTorn !== undefined && this.#afterTorn++ > 0) {
      return 'lines before it are there in part, and after a crash another file begins';
    }
    const isTorn = this.#isTorn;
    this.#isTorn = false;
    if (isTorn || this.#place.line <= this.#carriedLines || head.hash === this.#hashOfAll())
      return undefined;
    return 'lines of it are missing: the heads before it are not those that it was made of';
  }

  #hashOfAll(): string {
    const all = [...this.#heads.values()].filter(({ chain }) => chain !== ANCHORS_CHAIN);
    const sorted = all.toSorted((a, b) => (a.chain < b.chain ? -1 : 1));
    return hash(
      'sha256',
      sorted.map((one) => `${one.chain} ${one.sequence} ${one.hash}\n`).join(''),
    );
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
