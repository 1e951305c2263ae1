/**
 * Checks an export of an audit chain (`audit-chain.ts`), line by line, with the public key alone.
 *
 *   checkpoint? --> head: where it ends --> head: from where --> entries, each follows the one before
 *                                       \-> the checkpoint ---/        |     in sequence and hash
 *                                       \-> the beginning ---/         v
 *                                                        the end: it is what the first head says
 *
 * Heads and checkpoints that were kept from before are held against it, too: an entry that was signed once is
 * the same, and the chain has not become shorter. The first problem is the one that counts: after it everything
 * is wrong.
 */
import type { KeyObject } from 'node:crypto';
import { type AuditFields, chainStart, nextHash } from './audit-chain.ts';
import {
  type AuditHead,
  canonicalJson,
  isExact,
  isOfKind,
  isSigned,
  type SignedCheckpoint,
  type SignedHead,
} from './signed-lines.ts';

export interface AuditFinding {
  /** From 1. */
  line: number;
  problem: string;
}

export interface AuditVerdict {
  chain: string | undefined;
  /** How many were seen. */
  entries: number;
  /** What they continue from, and the sequence of the entry before the first of them. */
  start: 'beginning' | 'checkpoint' | 'head' | undefined;
  after: number | undefined;
  /** Up to where the chain was pruned, and when. */
  pruned: { sequence: number; at: string } | undefined;
  /** Sequence of the last one, and when it was signed, as the export says. */
  end: number | undefined;
  signedAt: string | undefined;
  problem: AuditFinding | undefined;
}

/** A field that is there twice would say one thing here, and another to who takes the first of them. */
const INEXACT = 'it is not written as the service writes it';

interface Place {
  chain: string;
  sequence: number;
  hash: string;
}

export class AuditVerifier {
  readonly #key: KeyObject;
  /** What was signed before, by chain and sequence. */
  readonly #known = new Map<string, AuditHead>();
  #checkpoint: SignedCheckpoint | undefined;
  #place: Place | undefined;
  #end: AuditHead | undefined;
  #line = 0;
  readonly #verdict: AuditVerdict = {
    chain: undefined,
    entries: 0,
    start: undefined,
    after: undefined,
    pruned: undefined,
    end: undefined,
    signedAt: undefined,
    problem: undefined,
  };

  /** `known`: what was signed before, in any order; what is about other chains is passed over. */
  constructor(key: KeyObject, known: Iterable<SignedHead | SignedCheckpoint> = []) {
    this.#key = key;
    for (const one of known) {
      const head = signedPlace(one, key);
      if (head !== undefined) this.#known.set(`${head.chain} ${head.sequence}`, head);
    }
  }

  /** The next line of the export. */
  take(line: string): void {
    this.#line += 1;
    if (this.#verdict.problem !== undefined) return;
    const problem = this.#check(line);
    if (problem !== undefined) this.#verdict.problem = { line: this.#line, problem };
  }

  /** There are no more lines. */
  end(): AuditVerdict {
    const problem = this.#verdict.problem === undefined ? this.#checkEnd() : undefined;
    if (problem !== undefined) this.#verdict.problem = { line: this.#line, problem };
    return this.#verdict;
  }

  #check(line: string): string | undefined {
    const value = parsed(line);
    if (value === undefined) return 'it is not JSON of one object';
    if (isOfKind('checkpoint', value)) return isExact(line) ? this.#beginAfter(value) : INEXACT;
    if (!isOfKind('head', value)) return this.#checkEntry(value, line);
    if (!isExact(line)) return INEXACT;
    if (!isSigned('head', value, this.#key))
      return 'the signature of the head is not that of the key';
    if (this.#end === undefined) return this.#open(value);
    if (this.#verdict.start === 'head' || this.#verdict.entries > 0) {
      return 'there is a head among the entries';
    }
    return this.#startAfter(value);
  }

  #beginAfter(signed: SignedCheckpoint): string | undefined {
    if (this.#line > 1) return 'there is a checkpoint, which can only be the first line';
    if (!isSigned('checkpoint', signed, this.#key)) {
      return 'the signature of the checkpoint is not that of the key';
    }
    const { sequence, at } = signed.checkpoint;
    this.#checkpoint = signed;
    this.#verdict.pruned = { sequence, at };
    return undefined;
  }

  #open({ head }: SignedHead): string | undefined {
    const { chain, sequence: end, at } = head;
    this.#verdict.chain = chain;
    this.#verdict.end = end;
    this.#verdict.signedAt = at;
    this.#end = head;
    const pruned = this.#checkpoint?.checkpoint;
    if (pruned !== undefined && pruned.chain !== chain) {
      return `the checkpoint is of the chain ${pruned.chain}`;
    }
    this.#verdict.start = pruned === undefined ? 'beginning' : 'checkpoint';
    const { sequence, hash } = pruned ?? { sequence: 0, hash: chainStart(chain) };
    return this.#standAt({ chain, sequence, hash });
  }

  #startAfter({ head }: SignedHead): string | undefined {
    const { chain, sequence, hash } = head;
    if (chain !== this.#end?.chain) return `the head is of the chain ${chain}`;
    const pruned = this.#checkpoint?.checkpoint;
    if (pruned !== undefined && sequence <= pruned.sequence) {
      return `entry ${sequence} was pruned, as the checkpoint says`;
    }
    this.#verdict.start = 'head';
    return this.#standAt({ chain, sequence, hash });
  }

  /** What is before the entries was signed, and must be what was signed before. */
  #standAt(place: Place): string | undefined {
    this.#place = place;
    this.#verdict.after = place.sequence;
    return this.#checkKnown(place);
  }

  #checkEntry({ hash, ...fields }: Record<string, unknown>, line: string): string | undefined {
    const entry = fields as AuditFields;
    if (this.#place === undefined) return 'no line before it says where the export ends';
    const { chain, sequence, hash: before } = this.#place;
    if (entry.chain !== chain) return `the entry is of the chain ${entry.chain}`;
    if (entry.sequence !== sequence + 1) {
      return `entry ${entry.sequence} stands where entry ${sequence + 1} should`;
    }
    const text = canonicalJson(entry);
    const found = nextHash(before, text);
    if (found !== hash) return `entry ${entry.sequence} is not what was hashed`;
    if (line !== `${text.slice(0, -1)},"hash":"${found}"}`) return INEXACT;
    this.#place = { chain, sequence: entry.sequence, hash: found };
    this.#verdict.entries += 1;
    return this.#checkKnown(this.#place);
  }

  #checkKnown({ chain, sequence, hash }: Place): string | undefined {
    const known = this.#known.get(`${chain} ${sequence}`);
    if (known === undefined || known.hash === hash) return undefined;
    return `entry ${sequence} is not the one that was signed at ${known.at}`;
  }

  #checkEnd(): string | undefined {
    const [place, end] = [this.#place, this.#end];
    if (place === undefined || end === undefined) return 'there is nothing';
    if (place.sequence !== end.sequence) {
      return `the export ends with entry ${place.sequence}, and should with ${end.sequence}`;
    }
    if (place.hash !== end.hash) return 'the entries are not those that were signed';
    for (const { chain, sequence, at } of this.#known.values()) {
      if (chain !== end.chain || sequence <= end.sequence) continue;
      return `the chain ends with entry ${end.sequence}, and entry ${sequence} was signed at ${at}`;
    }
    return undefined;
  }
}

/** Undefined when it is not signed by the key. */
function signedPlace(one: SignedHead | SignedCheckpoint, key: KeyObject): AuditHead | undefined {
  if ('head' in one) return isSigned('head', one, key) ? one.head : undefined;
  return isSigned('checkpoint', one, key) ? one.checkpoint : undefined;
}

function parsed(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
