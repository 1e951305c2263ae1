/** Requests that may be repeated when their answer was lost, told by the header `Idempotency-Key`. */
import type { FastifyRequest } from 'fastify';
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { Permission } from '../../shared/domain/permissions.ts';
import type { Once } from '../../shared/protocol/once.ts';
import type { Principal } from '../auth/principal.ts';
import type { WriteOnce } from '../control-plane/write-once.ts';

const FORM = /^[!-~]{1,255}$/;

/** The `Idempotency-Key` of a request; undefined when it has none. Throws `InvalidInput`. */
export function idempotencyKeyOf({ headers }: FastifyRequest): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && FORM.test(key)) return key;
  throw new InvalidInput('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
}

/** Whether it is a write of points that has a key, well formed or not. */
export function isKeyedWrite(
  { headers }: FastifyRequest,
  { needs }: { needs?: Permission | undefined },
): boolean {
  return needs === 'points:write' && headers['idempotency-key'] !== undefined;
}

/** Binds the key of such a write to it. Throws `InvalidInput`. */
export function claimOf(
  request: FastifyRequest,
  principal: Principal,
  bodyDigest: Uint8Array,
  writeOnce: Pick<WriteOnce, 'claim'>,
): (() => Promise<Once>) | undefined {
  const idempotencyKey = idempotencyKeyOf(request);
  if (idempotencyKey === undefined) return undefined;
  const { method, url } = request;
  return () => writeOnce.claim(principal, { idempotencyKey, method, url, bodyDigest });
}
