/**
 * The seal of a census: what makes its archive a file of which nobody can change a byte, or put one in the
 * place of another, without the private key of the installation.
 *
 *   [zstd: lines of JSON .......................][frame of 512 bytes: 5b 2a 4d 18, length, JSON, blanks]
 *    `------ these bytes have that SHA-256 -----'         {"seal": {...}, "signature": "..."}
 *
 *   seal         {at, day, file, kind, sha256}: when it was sealed, the day, the file's name, `scheduled` or
 *                `on_demand`
 *   signature    Ed25519 over "bulkhead census seal\n" || the seal in canonical JSON (RFC 8785), base64url
 *
 * The frame is one that zstd passes over (RFC 8878, 3.1.2), so any zstd reads the lines. It has one form
 * only: there is no byte in it that can be changed and mean the same.
 */
import { hkdfSync, type KeyObject, sign, verify } from 'node:crypto';
import { assert } from '../base/assert.ts';
import { canonicalJson } from './signed-lines.ts';

export const CENSUS_KINDS = ['scheduled', 'on_demand'] as const;
export type CensusKind = (typeof CENSUS_KINDS)[number];

export interface CensusSeal {
  /** RFC 3339. */
  at: string;
  /** `2026-11-27`, UTC. */
  day: string;
  /** Without folders. */
  file: string;
  kind: CensusKind;
  /** Of all bytes before the frame, in hex. */
  sha256: string;
}

/** Of the whole frame. */
export const SEAL_BYTES = 512;
const FRAME_MAGIC = 0x184d2a5b;
const HEAD_BYTES = 8;
const TEXT_BYTES = SEAL_BYTES - HEAD_BYTES;
const CONTEXT = 'bulkhead census seal\n';
const SEED_BYTES = 32;

/** The seed of the key that seals (`auditKeyOf`), derived from a secret of the installation (HKDF, RFC 5869). */
export function censusSeedOf(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'bulkhead census key', SEED_BYTES));
}

/** The frame that ends an archive. */
export function sealFrame(seal: CensusSeal, key: KeyObject): Buffer {
  return frameOf(seal, sign(null, signedBytes(seal), key).toString('base64url'));
}

/**
 * Why an archive is not what was sealed; undefined when it is. `frame`: its last `SEAL_BYTES`; `sha256`: of
 * what is before them, in hex; `file`: the name that it is under.
 */
export function sealProblem(
  { frame, sha256, file }: { frame: Buffer; sha256: string; file: string },
  key: KeyObject,
): string | undefined {
  const sealed = parseFrame(frame);
  if (sealed === undefined) return 'it does not end with a seal: it was cut, or something follows';
  const { seal, signature } = sealed;
  if (!verify(null, signedBytes(seal), key, Buffer.from(signature, 'base64url'))) {
    return 'the signature of its seal is not that of the key';
  }
  if (seal.sha256 !== sha256) return 'its content is not what was sealed';
  if (seal.file !== file) return `it was sealed as ${seal.file}`;
  return undefined;
}

/** What the frame says, whoever has signed it; undefined when it is none. */
export function readSeal(frame: Buffer): CensusSeal | undefined {
  return parseFrame(frame)?.seal;
}

function frameOf(seal: CensusSeal, signature: string): Buffer {
  const text = canonicalJson({ seal, signature });
  assert(text.length <= TEXT_BYTES, 'a seal fits its frame');
  const frame = Buffer.alloc(SEAL_BYTES, ' ');
  frame.writeUInt32LE(FRAME_MAGIC, 0);
  frame.writeUInt32LE(TEXT_BYTES, 4);
  frame.write(text, HEAD_BYTES, 'utf8');
  return frame;
}

function parseFrame(frame: Buffer): { seal: CensusSeal; signature: string } | undefined {
  if (frame.length !== SEAL_BYTES) return undefined;
  try {
    const value = JSON.parse(frame.toString('utf8', HEAD_BYTES)) as Partial<{
      seal: CensusSeal;
      signature: string;
    }> | null;
    const { seal, signature } = value ?? {};
    if (typeof seal !== 'object' || seal === null || typeof signature !== 'string')
      return undefined;
    if (Buffer.from(signature, 'base64url').toString('base64url') !== signature) return undefined;
    return frameOf(seal, signature).equals(frame) ? { seal, signature } : undefined;
  } catch {
    // Not JSON, or more than a seal can be: nobody's frame.
    return undefined;
  }
}

function signedBytes(seal: CensusSeal): Buffer {
  return Buffer.from(CONTEXT + canonicalJson(seal));
}
