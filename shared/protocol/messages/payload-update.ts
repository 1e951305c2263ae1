import Type, { type Static } from 'typebox';
import {
  Bytes,
  closed,
  PathSchema,
  PointsSelectorSchema,
  RoomSchema,
  WrittenSchema,
} from '../schema.ts';
import { WRITE_HEAD } from '../write-head.ts';

/** One change to payloads. `payload` is UTF-8 JSON text of an object. */
export const PayloadChangeSchema = Type.Union([
  /** Sets the given keys and leaves the others; with `at`, inside the object found there. */
  closed({ kind: Type.Literal('set'), payload: Bytes, at: Type.Optional(PathSchema) }),
  closed({ kind: Type.Literal('overwrite'), payload: Bytes }),
  closed({ kind: Type.Literal('delete-keys'), paths: Type.Array(PathSchema) }),
  closed({ kind: Type.Literal('clear') }),
]);
export type PayloadChange = Static<typeof PayloadChangeSchema>;

/**
 * Changes the payloads of points that exist. With ids, one that is not there fails the whole
 * message with `point_not_found`. What does not fit the room fails with `quota_exceeded`; by filter
 * some points may be changed by then.
 */
export const payloadUpdate = {
  number: 13,
  writes: true,
  request: closed({
    ...WRITE_HEAD,
    points: PointsSelectorSchema,
    change: PayloadChangeSchema,
    room: Type.Optional(RoomSchema),
  }),
  reply: WrittenSchema,
};
