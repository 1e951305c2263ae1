/** What a request says of a key, in the admin API and in a client's own. */
import Type from 'typebox';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { parseDatetime } from '../../shared/domain/datetime.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { ROLES } from '../../shared/domain/permissions.ts';
import { PLAN_LIMITS } from '../../shared/domain/plan.ts';
import type { KeyTermsInput } from '../control-plane/keys.ts';
import { closedObject, nullable, type SchemaValue } from './validation.ts';

const { min, max } = PLAN_LIMITS.requests_per_second;

const terms = {
  name: nullable(Type.String()),
  role: nullable(Type.Enum([...ROLES])),
  namespaces: nullable(Type.Array(Type.String(), { maxItems: LIMITS.keyNamespacesMax })),
  requests_per_second: nullable(Type.Integer({ minimum: min, maximum: max })),
  expires_at: nullable(Type.String()),
};
const grace = Type.Integer({ minimum: 0, maximum: LIMITS.keyGraceSecondsMax });

export const NewKeyBody = closedObject({ mode: Type.Enum(['live', 'test']), ...terms });
export const KeyUpdateBody = closedObject({ ...terms, grace_seconds: Type.Optional(grace) });
/** A body may be left out. */
export const RotateBody = nullable(closedObject({ grace_seconds: nullable(grace) }));

type Terms = Omit<SchemaValue<typeof NewKeyBody>, 'mode'>;

/** Of a name or a role, null says as little as nothing does. */
export function parseKeyTerms(body: Terms): KeyTermsInput {
  return {
    name: body.name ?? undefined,
    role: body.role ?? undefined,
    namespaces: body.namespaces,
    requestsPerSecond: body.requests_per_second,
    expiresAt: parseExpiry(body.expires_at),
  };
}

function parseExpiry(text: string | null | undefined): number | null | undefined {
  if (text === null || text === undefined) return text;
  const micros = parseDatetime(text);
  if (micros !== undefined) return Math.floor(micros / 1_000);
  throw new InvalidInput('expires_at', 'must be a date and time like 2030-01-31T00:00:00Z');
}
