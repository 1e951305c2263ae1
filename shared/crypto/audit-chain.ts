/**
 * Chains of audit entries that whoever has an export and a public key can check without us.
 *
 *   entry     an object of JSON: sequence (from 1, without gaps), chain, and what it tells of
 *   hash      SHA-256(hash of the entry before, in hex || the entry in canonical JSON, RFC 8785)
 *   first     SHA-256("bulkhead audit chain\n" || name of the chain), in place of what is before it
 *   head      signed (`signed-lines.ts`): up to there the chain is so
 *
 * The name of the chain is in its first hash, so that no chain passes for another. A changed, missing,
 * added or moved entry changes each hash after it, and no hash up to a head can change without
 * the private key; what comes after the last head is only as good as its next one.
 *
 * When the beginning of a chain was pruned, a signed checkpoint has the hash of the last entry that is gone: what
 * is kept follows that one, and nobody without the private key can take more away.
 *
 * An export is text, a line each (JSONL):
 *
 *   {"checkpoint": {...}, "signature": "..."}    what was pruned, if anything was
 *   {"head": {...}, "signature": "..."}          where the export ends, so that nobody can cut it short
 *   {"head": {...}, "signature": "..."}          what the entries continue from, when that is neither the beginning
 *                                                nor the checkpoint
 *   {..., "sequence": 7, "hash": "..."}          entries in their order, each with its hash
 */
import { createPrivateKey, createPublicKey, hash, hkdfSync, type KeyObject } from 'node:crypto';
import { canonicalJson } from './signed-lines.ts';

/** Fields are JSON; `hash` is none of them. */
export interface AuditFields {
  sequence: number;
  chain: string;
  [name: string]: unknown;
}

const CHAIN_CONTEXT = 'bulkhead audit chain\n';
const AUDIT_SEED_BYTES = 32;
/** DER of PKCS #8 around the seed of an Ed25519 key (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** What stands before the first entry. */
export function chainStart(chain: string): string {
  return hash('sha256', `${CHAIN_CONTEXT}${chain}`);
}

/** `entry` is canonical JSON. */
export function nextHash(before: string, entry: string): string {
  return hash('sha256', before + entry);
}

/** An entry in canonical JSON but for its sequence, which stands between these two. */
export interface EntryText {
  head: string;
  tail: string;
}

const SEQUENCE = 'sequence';

/** `fields`: those of an entry but for its sequence, at least one of them before it by name. */
export function entryText(fields: Readonly<Record<string, unknown>>): EntryText {
  const part = (isBefore: boolean) => {
    const own = Object.entries(fields).filter(([name]) => name < SEQUENCE === isBefore);
    // A lone surrogate has no canonical form.
    const wellFormed = JSON.stringify(Object.fromEntries(own), (_, value: unknown) => {
      return typeof value === 'string' ? value.toWellFormed() : value;
    });
    return canonicalJson(JSON.parse(wellFormed));
  };
  const tail = part(false);
  return {
    head: `${part(true).slice(0, -1)},"${SEQUENCE}":`,
    tail: tail === '{}' ? '}' : `,${tail.slice(1)}`,
  };
}

/** The seed of the signing key of an installation, derived from a secret of it (HKDF, RFC 5869). */
export function auditSeedOf(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'bulkhead audit key', AUDIT_SEED_BYTES));
}

/** The Ed25519 key of 32 random bytes. */
export function auditKeyOf(seed: Uint8Array): KeyObject {
  const der = Buffer.concat([PKCS8_PREFIX, seed]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

/** PEM (SPKI). */
export function publicPemOf(key: KeyObject): string {
  return createPublicKey(key).export({ format: 'pem', type: 'spki' }).toString();
}
