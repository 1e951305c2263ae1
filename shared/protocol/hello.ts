/**
 * The handshake of a link. The worker dials; each side proves that it holds the link secret
 * without sending it. Four facts are exchanged in three JSON text messages (JSON, because both
 * ends must be able to read it whatever frame version they speak, and because a JSON parser is a
 * small thing to expose before there is trust).
 *
 *    coordinator                                   worker
 *        | ---- challenge {nonce} -------------------> |   fresh 32 bytes
 *        | <--- hello {protocolVersion, schemaHash, ---|   fresh 32 bytes of its own, and
 *        |             workerId, nonce, proof}         |   proof over role "worker"
 *   checks proof, then version
 *        | ---- welcome {epoch, proof} --------------> |   proof over role "coordinator"
 *      open                                      checks proof: open
 *
 *   proof = HMAC-SHA-256(secret, role, coordinator's nonce, worker's nonce, worker id,
 *                        protocol version, schema hash, epoch), each part preceded by its length
 *
 * The role keeps a proof from being reflected, the two nonces keep it from being replayed, the
 * lengths keep two different lists of parts from giving the same bytes. The proof is checked
 * before the version, so a stranger learns nothing. Nothing else is accepted before `open`; a
 * side that is not satisfied, or waits too long, closes with one of `CLOSE_CODES`. What the
 * handshake does not give is secrecy and integrity of the frames after it: that is TLS's part.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { isId, type WorkerId } from '../base/ids.ts';
import { LIMITS } from '../domain/limits.ts';
import { ProtocolError } from './protocol-error.ts';
import { closed } from './schema.ts';

/** A handshake takes two round trips of small messages; a peer that needs longer is not well. */
export const HANDSHAKE_TIMEOUT_MS = 5_000;
export const NONCE_BYTES = 32;

/** Why a link was closed, in the private range of WebSocket close codes. */
export const CLOSE_CODES = {
  /** Orderly end of one side. */
  goingAway: 1001,
  /** A defect of the closing side. */
  internalError: 1011,
  /** Bytes that are not a frame, or not a hello. */
  protocolError: 4400,
  /** The other side does not hold the secret. */
  refused: 4401,
  /** No complete handshake in time. */
  handshakeTimeout: 4408,
  /** Another protocol version or other schemas. */
  versionMismatch: 4409,
  /** A newer connection of the same worker took over. */
  replaced: 4410,
  /** Another process with the same worker id is connected and answers. */
  taken: 4411,
} as const;

const Nonce = Type.String({ pattern: '^[0-9a-f]{64}$' });
const Proof = Type.String({ pattern: '^[0-9a-f]{64}$' });

/** A reason as a close frame can carry it: at most 123 bytes (RFC 6455, section 5.5). */
export function closeReason(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 123);
}

export const ChallengeSchema = closed({ nonce: Nonce });
export const HelloSchema = closed({
  protocolVersion: Type.Integer({ minimum: 0 }),
  schemaHash: Type.String({ maxLength: 64 }),
  workerId: Type.String({ maxLength: 64 }),
  nonce: Nonce,
  proof: Proof,
});
export const WelcomeSchema = closed({ epoch: Type.Integer({ minimum: 0 }), proof: Proof });

export type Challenge = Static<typeof ChallengeSchema>;
export type Hello = Static<typeof HelloSchema> & { workerId: WorkerId };
export type Welcome = Static<typeof WelcomeSchema>;

const challengeCheck = Compile(ChallengeSchema);
const helloCheck = Compile(HelloSchema);
const welcomeCheck = Compile(WelcomeSchema);

/** Throws `ProtocolError`. */
export function parseChallenge(text: string): Challenge {
  const value = parse(text);
  if (!challengeCheck.Check(value)) throw new ProtocolError('not a challenge');
  return value;
}

/** Throws `ProtocolError`. */
export function parseHello(text: string): Hello {
  const value = parse(text);
  if (!helloCheck.Check(value)) throw new ProtocolError('not a hello');
  if (!isId('wk_', value.workerId)) throw new ProtocolError('not a worker id');
  return value as Hello;
}

/** Throws `ProtocolError`. */
export function parseWelcome(text: string): Welcome {
  const value = parse(text);
  if (!welcomeCheck.Check(value)) throw new ProtocolError('not a welcome');
  return value;
}

export interface ProofParts {
  coordinatorNonce: string;
  workerNonce: string;
  workerId: string;
  protocolVersion: number;
  schemaHash: string;
  /** Only in the coordinator's proof: it names the epoch. */
  epoch?: number;
}

/** The proof of one side, in hex. */
export function proofOf(role: 'worker' | 'coordinator', secret: string, parts: ProofParts): string {
  const hmac = createHmac('sha256', secret);
  const list = [
    'bulkhead link',
    role,
    parts.coordinatorNonce,
    parts.workerNonce,
    parts.workerId,
    String(parts.protocolVersion),
    parts.schemaHash,
    String(parts.epoch ?? ''),
  ];
  for (const part of list) hmac.update(`${Buffer.byteLength(part)}:${part}`);
  return hmac.digest('hex');
}

/** Compares in a time that does not depend on where the two differ. */
export function proofMatches(expected: string, presented: string): boolean {
  const a = Buffer.from(expected);
  const b = Buffer.from(presented);
  return a.byteLength === b.byteLength && timingSafeEqual(a, b);
}

function parse(text: string): unknown {
  if (text.length > LIMITS.helloBytesMax) throw new ProtocolError('handshake message too large');
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ProtocolError('handshake message is not JSON', { cause: error });
  }
}
