/**
 * Checks an export of an audit chain (`audit-chain.ts`), line by line, with the public key alone.
 *
 *   head: where it ends --> head: from where --> entries, each follows the one before in sequence and hash
 *                       \-> the beginning ---/                        --> the end: it is what the first line says
 *
 * Heads that were kept from before are held against it, too: an entry that was signed once is the same, and the
 * chain has not become shorter. The first problem is the one that counts: after it everything is wrong.
 */
import type { KeyObject } from 'node:crypto';
import {
  type AuditFields,
  type AuditHead,
  canonicalJson,
  chainStart,
  isSigned,
  nextHash,
  type SignedHead,
} from './audit-chain.ts';

export interface AuditFinding {
  /** From 1. */
  line: number;
  problem: string;
}

export interface AuditVerdict {
  chain: string | undefined;
  /** How many were seen. */
  entries: number;
  /** Sequence of the last one, and when it was signed, as the export says. */
  end: number | undefined;
  signedAt: string | undefined;
  problem: AuditFinding | undefined;
}

interface Place {
  chain: string;
  sequence: number;
  hash: string;
}

export class AuditVerifier {
  readonly #key: KeyObject;
  /** Heads that were kept from before, by chain and sequence. */
  readonly #known = new Map<string, SignedHead>();
  #place: Place | undefined;
  #end: AuditHead | undefined;
  #line = 0;
  readonly #verdict: AuditVerdict = {
    chain: undefined,
    entries: 0,
    end: undefined,
    signedAt: undefined,
    problem: undefined,
  };

  /** `known`: heads that were signed before, in any order; those of other chains are passed over. */
  constructor(key: KeyObject, known: Iterable<SignedHead> = []) {
    this.#key = key;
    for (const one of known) {
      if (isSigned(one, key)) this.#known.set(`${one.head.chain} ${one.head.sequence}`, one);
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
    if (!isHead(value)) return this.#checkEntry(value);
    if (!isSigned(value, this.#key)) return 'the signature of the head is not that of the key';
    if (this.#line === 1) this.#open(value);
    else if (this.#line === 2) return this.#startAfter(value);
    else return 'there is a head among the entries';
    return undefined;
  }

  #open({ head }: SignedHead): void {
    const { chain, sequence, at } = head;
    this.#verdict.chain = chain;
    this.#verdict.end = sequence;
    this.#verdict.signedAt = at;
    this.#end = head;
    this.#place = { chain, sequence: 0, hash: chainStart(chain) };
  }

  #startAfter({ head }: SignedHead): string | undefined {
    const { chain, sequence, hash } = head;
    if (chain !== this.#end?.chain) return `the head is of the chain ${chain}`;
    this.#place = { chain, sequence, hash };
    return undefined;
  }

  #checkEntry({ hash, ...fields }: Record<string, unknown>): string | undefined {
    const entry = fields as AuditFields;
    if (this.#place === undefined) return 'the first line does not say where the export ends';
    const { chain, sequence, hash: before } = this.#place;
    if (entry.chain !== chain) return `the entry is of the chain ${entry.chain}`;
    if (entry.sequence !== sequence + 1) {
      return `entry ${entry.sequence} stands where entry ${sequence + 1} should`;
    }
    const found = nextHash(before, canonicalJson(entry));
    if (found !== hash) return `entry ${entry.sequence} is not what was hashed`;
    this.#place = { chain, sequence: entry.sequence, hash: found };
    this.#verdict.entries += 1;
    return this.#checkKnown(this.#place);
  }

  #checkKnown({ chain, sequence, hash }: Place): string | undefined {
    const known = this.#known.get(`${chain} ${sequence}`);
    if (known === undefined || known.head.hash === hash) return undefined;
    return `entry ${sequence} is not the one that was signed at ${known.head.at}`;
  }

  #checkEnd(): string | undefined {
    const [place, end] = [this.#place, this.#end];
    if (place === undefined || end === undefined) return 'there is nothing';
    if (place.sequence !== end.sequence) {
      return `the export ends with entry ${place.sequence}, and should with ${end.sequence}`;
    }
    if (place.hash !== end.hash) return 'the entries are not those that were signed';
    for (const { head } of this.#known.values()) {
      if (head.chain !== end.chain || head.sequence <= end.sequence) continue;
      return `the chain ends with entry ${end.sequence}, and entry ${head.sequence} was signed at ${head.at}`;
    }
    return undefined;
  }
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

/** Nothing but what is signed: a field beside it would be nobody's word. */
function isHead(value: Record<string, unknown>): value is Record<string, unknown> & SignedHead {
  const { head, signature, ...others } = value;
  if (typeof signature !== 'string' || Object.keys(others).length > 0) return false;
  return typeof head === 'object' && head !== null;
}
