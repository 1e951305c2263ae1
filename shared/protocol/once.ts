/**
 * Writes that take effect once, however often they are sent: what a message says of its own, and
 * what replicas tell each other of those that were done.
 *
 * Both digests are the coordinator's. The key stands for what the client calls the write by, the
 * request for what it asked; nothing of either can be read from them. `at` is when the key was first
 * used, so that all replicas forget it at the same write, whatever their clocks say.
 */
import Type, { type Static } from 'typebox';
import { closed, VersionSchema } from './schema.ts';

/** How long after its first use a key is known, in milliseconds. */
export const ONCE_KEPT_MS = 24 * 3_600_000;

export const ONCE_DIGEST_BYTES = 16;

const DigestSchema = Type.Refine(
  Type.Unsafe<Uint8Array>({ description: `${ONCE_DIGEST_BYTES} bytes` }),
  (value: unknown) => value instanceof Uint8Array && value.length === ONCE_DIGEST_BYTES,
);

/** Milliseconds since 1970. */
const TimeSchema = Type.Integer({ minimum: 0 });

/**
 * What makes a write take effect once. When one with the same key and request was done, nothing
 * changes and the answer names its version (`repeated`); when one with the same key and another
 * request was, it fails with `conflict`.
 */
export const OnceSchema = closed({ key: DigestSchema, request: DigestSchema, at: TimeSchema });
export type Once = Static<typeof OnceSchema>;

/** A write that was done, and its version. */
const OnceRowSchema = closed({
  key: DigestSchema,
  request: DigestSchema,
  at: TimeSchema,
  version: VersionSchema,
});
export type OnceRow = Static<typeof OnceRowSchema>;

/** A place in the order of version and key. */
export const OnceMarkSchema = closed({ version: Type.Integer({ minimum: 0 }), key: DigestSchema });
export type OnceMark = Static<typeof OnceMarkSchema>;

/** All that were done after one place and up to another; null: to the end. */
export const OnceSpanSchema = closed({
  after: OnceMarkSchema,
  until: Type.Union([OnceMarkSchema, Type.Null()]),
  rows: Type.Array(OnceRowSchema),
});
export type OnceSpan = Static<typeof OnceSpanSchema>;

/** Behind all writes of that version, before those of the next. */
export function onceAfter(version: number): OnceMark {
  return { version, key: new Uint8Array(ONCE_DIGEST_BYTES).fill(0xff) };
}
