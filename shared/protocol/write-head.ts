/** What every write of points says beside what it is. */
import Type from 'typebox';
import { MeterSchema } from './meter.ts';
import { OnceSchema } from './once.ts';
import { UndoableSchema, VersionSchema } from './schema.ts';

export const WRITE_HEAD = {
  version: VersionSchema,
  once: Type.Optional(OnceSchema),
  undoable: Type.Optional(UndoableSchema),
  meter: Type.Optional(MeterSchema),
  /** What is noted of writes up to this version is in the ledger, and need not be kept any more. */
  metered: Type.Optional(Type.Integer({ minimum: 0 })),
};
