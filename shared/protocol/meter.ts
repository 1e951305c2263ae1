/**
 * Metering of writes. A message says on whose account it is, and the shard notes what it came to in the
 * transaction of the write itself: after a crash both are there or neither is. The coordinator carries
 * these notes to the ledger (`meter-read`), and tells the shard with later writes how far it has come.
 *
 * Replicas note the same under the same versions, so the notes of any replica in sync will do, and a
 * version that is in the ledger is never taken a second time.
 */
import Type, { type Static } from 'typebox';
import { closed, VersionSchema } from './schema.ts';

const CountSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** On whose account a write is. */
export const MeterSchema = closed({
  /** Id of the key that the request showed. */
  key: Type.String({ minLength: 1, maxLength: 64 }),
  /** Hours since 1970, by the coordinator's clock when it sent the write. */
  hour: CountSchema,
});
export type Meter = Static<typeof MeterSchema>;

const MS_PER_HOUR = 3_600_000;

/** Of a time in milliseconds since 1970. */
export function hourOf(ms: number): number {
  return Math.floor(ms / MS_PER_HOUR);
}

/** What writes came to. */
const AMOUNT = {
  /** Points that were stored, got another vector or another payload. */
  written: CountSchema,
  /** Points that were there and are not any more. */
  deleted: CountSchema,
  /** Of vectors and payloads that came with the writes, once for each point that got them. */
  bytes: CountSchema,
};

/** What one write came to. */
const MeteredSchema = closed({
  version: VersionSchema,
  ...MeterSchema.properties,
  ...AMOUNT,
});
export type Metered = Static<typeof MeteredSchema>;

/** What some writes of one key and hour came to. */
export const MeteredSumSchema = closed({
  ...MeterSchema.properties,
  writes: CountSchema,
  ...AMOUNT,
});
export type MeteredSum = Static<typeof MeteredSumSchema>;
