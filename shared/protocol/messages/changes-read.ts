import Type, { type Static } from 'typebox';
import { OnceMarkSchema } from '../once.ts';
import { PageSchema } from '../page.ts';
import { closed, PointIdSchema, UpToSchema, VersionSchema } from '../schema.ts';

/** Where the next page begins. Of use to the worker that gave it, for the same shard. */
export const ChangesCursorSchema = Type.Union([
  /** Points in the order of their labels, after this one. */
  closed({ kind: Type.Literal('points'), afterLabel: Type.Integer({ minimum: -1 }) }),
  /** Removed ids in the order of version and id, after this one. */
  closed({ kind: Type.Literal('removed'), version: VersionSchema, id: PointIdSchema }),
  /** Writes that were done once, in the order of version and key, after this one. */
  closed({ kind: Type.Literal('once'), after: OnceMarkSchema }),
]);
export type ChangesCursor = Static<typeof ChangesCursorSchema>;

/**
 * What has changed since a version, a page at a time: first whole points, then removed ids,
 * then the writes that take effect once. A page is what was committed when it was read; `version` is that of the shard then. Changes that come between
 * two pages may be missing, so whoever has read all pages asks again for what is newer than the
 * `version` of the first, until nothing is. Float section of the reply: one vector a point.
 *
 * A first cursor of the kind `once` asks for those writes alone. With `tooFar` removed ids of that age are not kept any more: there is no page, and ranges must be
 * compared instead. `floor` is the version up to which they may be missing. A closed shard stays
 * closed.
 */
export const changesRead = {
  number: 30,
  writes: false,
  request: closed({
    since: Type.Integer({ minimum: 0 }),
    /** Null for the first page. */
    cursor: Type.Union([ChangesCursorSchema, Type.Null()]),
    /** Points that are newer are left out: without it, pages would follow what is written meanwhile. */
    upTo: UpToSchema,
  }),
  reply: closed({
    page: PageSchema,
    next: Type.Union([ChangesCursorSchema, Type.Null()]),
    version: Type.Integer({ minimum: 0 }),
    floor: Type.Integer({ minimum: 0 }),
    tooFar: Type.Boolean(),
  }),
};
