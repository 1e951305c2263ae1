import type { FastifyRequest } from 'fastify';
import { InvalidInput } from '../../shared/base/invalid.ts';

const FORM = /^[!-~]{1,255}$/;

/** The `Idempotency-Key` of a request; undefined when it has none. Throws `InvalidInput`. */
export function idempotencyKeyOf({ headers }: FastifyRequest): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && FORM.test(key)) return key;
  throw new InvalidInput('Idempotency-Key', 'must be 1 to 255 visible ASCII characters');
}
