/**
 * The journal that `power-cut.c` writes, whose head describes the format. Inode numbers are kept as
 * text: they are names here.
 */
import { assert, must } from '../../shared/base/assert.ts';

const KINDS = [
  'none',
  'root',
  'create',
  'write',
  'truncate',
  'rename',
  'unlink',
  'make-folder',
  'remove-folder',
  'sync',
  'sync-failed',
  'mark',
  'fault',
  'unsupported',
] as const;

export type RecordKind = (typeof KINDS)[number];

export interface JournalRecord {
  kind: RecordKind;
  /** The file, or the folder of the name. */
  a: string;
  /** What was made, or the folder of the new name. */
  b: string;
  /** Where a write begins, or the new size of a file. */
  offset: number;
  name: string;
  data: Buffer;
}

const HEADER_BYTES = 32;

/** The records in their order; they are views of `journal`. */
export function parseJournal(journal: Buffer): JournalRecord[] {
  const records: JournalRecord[] = [];
  for (let at = 0; at < journal.length; ) {
    const kind = must(KINDS[journal.readUInt8(at)], 'the shim knows these kinds');
    const nameEnd = at + HEADER_BYTES + journal.readUInt16LE(at + 2);
    const end = nameEnd + journal.readUInt32LE(at + 4);
    assert(end <= journal.length, 'the journal is whole');
    records.push({
      kind,
      a: journal.readBigUInt64LE(at + 8).toString(),
      b: journal.readBigUInt64LE(at + 16).toString(),
      offset: Number(journal.readBigUInt64LE(at + 24)),
      name: journal.toString('utf8', at + HEADER_BYTES, nameEnd),
      data: journal.subarray(nameEnd, end),
    });
    at = end;
  }
  return records;
}
