/**
 * Lines of JSON that stand for something because they are signed, Ed25519 over a text that says what kind
 * of line it is, so that none passes for another:
 *
 *   {"head": {at, chain, hash, sequence}, "signature": "..."}
 *     up to that entry the chain is so
 *   {"checkpoint": {at, chain, hash, pruned, sequence}, "signature": "..."}
 *     entries up to that one were pruned, `pruned` of them since the checkpoint before
 *   {"file": {at, carried, closed, number}, "signature": "..."}
 *     the first line of a file of anchors: SHA-256 of the file before it, which is closed, and how many lines
 *     follow that were carried over from it
 *
 *   signature    base64url, over "bulkhead audit <kind>\n" || the canonical JSON of what is signed (RFC 8785)
 */
import { type KeyObject, sign, verify } from 'node:crypto';
import canonicalize from 'canonicalize';
import { must } from '../base/assert.ts';

/** The chain of anchors (`coordinator/ledger/audit-anchors.ts`): its entries are the heads of all others. */
export const ANCHORS_CHAIN = 'anchors';

export interface AuditHead {
  /** RFC 3339: when it was signed. */
  at: string;
  chain: string;
  hash: string;
  sequence: number;
}

export interface AuditCheckpoint extends AuditHead {
  /** How many entries, since the checkpoint before. */
  pruned: number;
}

export interface AnchorFileStart {
  at: string;
  carried: number;
  /** Hex; null: it is the first file. */
  closed: string | null;
  number: number;
}

interface Contents {
  head: AuditHead;
  checkpoint: AuditCheckpoint;
  file: AnchorFileStart;
}

export type SignedKind = keyof Contents;
export type Signed<K extends SignedKind> = Pick<Contents, K> & { signature: string };
export type SignedHead = Signed<'head'>;
export type SignedCheckpoint = Signed<'checkpoint'>;
export type SignedFileStart = Signed<'file'>;

/** Throws a `TypeError` for what is no JSON. */
export function canonicalJson(value: unknown): string {
  return must(canonicalize(value), 'only undefined has no canonical form');
}

export function signHead(head: AuditHead, key: KeyObject): SignedHead {
  return { head, signature: signatureOf('head', head, key) };
}

export function signCheckpoint(checkpoint: AuditCheckpoint, key: KeyObject): SignedCheckpoint {
  return { checkpoint, signature: signatureOf('checkpoint', checkpoint, key) };
}

export function signFileStart(file: AnchorFileStart, key: KeyObject): SignedFileStart {
  return { file, signature: signatureOf('file', file, key) };
}

/** Whether a line is of that kind and has nothing but what is signed: a field beside would be nobody's word. */
export function isOfKind<K extends SignedKind>(kind: K, value: unknown): value is Signed<K> {
  if (typeof value !== 'object' || value === null || !(kind in value)) return false;
  const { signature, [kind]: content, ...others } = value as Record<string, unknown>;
  if (typeof signature !== 'string' || Object.keys(others).length > 0) return false;
  return typeof content === 'object' && content !== null;
}

/** Whether a line of JSON says the same to each reader: no field is there twice, nothing is written otherwise. */
export function isExact(line: string): boolean {
  return JSON.stringify(JSON.parse(line)) === line;
}

/** Of a line; undefined when it is none of that kind, or only a part of one. */
export function parseSigned<K extends SignedKind>(kind: K, line: string): Signed<K> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isOfKind(kind, value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isSigned<K extends SignedKind>(kind: K, line: Signed<K>, key: KeyObject): boolean {
  const { signature } = line;
  const bytes = Buffer.from(signature, 'base64url');
  // Other texts may stand for the same bytes.
  if (bytes.toString('base64url') !== signature) return false;
  return verify(null, bytesOf(kind, line[kind]), key, bytes);
}

function signatureOf(kind: SignedKind, content: object, key: KeyObject): string {
  return sign(null, bytesOf(kind, content), key).toString('base64url');
}

function bytesOf(kind: SignedKind, content: object): Buffer {
  return Buffer.from(`bulkhead audit ${kind}\n${canonicalJson(content)}`);
}
