import Type from 'typebox';
import { LIMITS } from '../../domain/limits.ts';
import { Bytes, closed, PointIdSchema, RangeSchema, UpToSchema } from '../schema.ts';

/**
 * SHA-256 over the points of a range in the order of their ids, at most `limit` of them: over id and
 * version of each, with `deep` over payload and vector, too. `next` is the first that was left out,
 * `newest` the highest version.
 * Points that are newer than `upTo` are left out. Two replicas with equal digest and count hold the same there. What is written meanwhile may be in it
 * or not. A closed shard stays closed.
 */
export const rangeDigest = {
  number: 32,
  writes: false,
  request: closed({
    range: RangeSchema,
    limit: Type.Integer({ minimum: 1, maximum: LIMITS.rangePointsMax }),
    deep: Type.Boolean(),
    upTo: UpToSchema,
  }),
  reply: closed({
    count: Type.Integer({ minimum: 0 }),
    newest: Type.Integer({ minimum: 0 }),
    digest: Bytes,
    next: Type.Union([PointIdSchema, Type.Null()]),
  }),
};
