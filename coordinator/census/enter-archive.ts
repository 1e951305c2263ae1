/** From an archive to the ledger: what bills are made of, and then that there is such a census. */
import { must } from '../../shared/base/assert.ts';
import type { ClientId, ShardId } from '../../shared/base/ids.ts';
import type { CensusRecord, CensusRowsEntry, KnownShard, StorageRow } from '../ledger/entries.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { BrokenArchive, type CensusArchive } from './archive.ts';
import {
  type CensusCollection,
  type CensusEnd,
  type CensusHead,
  firstHourOf,
  isCollection,
  isEnd,
  isHead,
} from './lines.ts';

/** Collections of one entry: some hundred kilobytes, and a few milliseconds of the ledger's thread. */
const ROWS_PER_ENTRY = 500;

/**
 * Resolves when all of it is on disk. Once more for the same file is no change. Throws `BrokenArchive`, and what
 * the ledger throws.
 */
export async function enterArchive(
  file: string,
  deps: { archive: Pick<CensusArchive, 'check' | 'lines'>; ledger: Pick<Ledger, 'append'> },
): Promise<CensusRecord> {
  const { archive, ledger } = deps;
  const sha256 = await archive.check(file);
  let head: CensusHead | undefined;
  let end: CensusEnd | undefined;
  let rows: CensusCollection[] = [];
  for await (const line of archive.lines(file)) {
    if (isHead(line)) head = line;
    else if (isEnd(line)) end = line;
    else if (isCollection(line) && rows.push(line) === ROWS_PER_ENTRY) {
      await ledger.append(rowsOf(head, rows));
      rows = [];
    }
  }
  if (head === undefined || end === undefined) {
    throw new BrokenArchive(file, 'it is not a whole census');
  }
  await ledger.append(rowsOf(head, rows));
  const record = recordOf(head, end, { file, sha256 });
  await ledger.append({ kind: 'census', record }, { urgent: true });
  return record;
}

function rowsOf(head: CensusHead | undefined, rows: readonly CensusCollection[]): CensusRowsEntry {
  const { census, day, kind } = must(head, 'the head is the first line');
  const hour = kind === 'scheduled' ? firstHourOf(day) : null;
  const [storage, shards] = [rows.map(storageOf), rows.flatMap(knownIn)];
  return { kind: 'census-rows', census, hour, storage, shards };
}

function storageOf({ client_id, mode, namespace, collection, sums }: CensusCollection): StorageRow {
  return {
    clientId: client_id as ClientId,
    mode,
    namespace,
    collection,
    points: sums.points,
    bytes: sums.bytes,
    unknownShards: sums.unknown_shards,
  };
}

/** What was heard of its shards, not what is repeated of earlier censuses. */
function knownIn({ shards }: CensusCollection): KnownShard[] {
  return shards.flatMap(({ shard_id, source, at, version, points, bytes }) => {
    if (source === 'census' || at === null || version === null) return [];
    return [{ shardId: shard_id as ShardId, at: Date.parse(at), version, points, bytes }];
  });
}

function recordOf(
  { census, day, kind, started_at }: CensusHead,
  { end }: CensusEnd,
  { file, sha256 }: { file: string; sha256: string },
): CensusRecord {
  return {
    census,
    day,
    kind,
    state: end.unknown_shards === 0 ? 'complete' : 'incomplete',
    startedAt: Date.parse(started_at),
    finishedAt: Date.parse(end.finished_at),
    file,
    sha256,
    clients: end.clients,
    collections: end.collections,
    shards: end.shards,
    unknownShards: end.unknown_shards,
    points: end.points,
    bytes: end.bytes,
    memoryBytes: end.memory_bytes,
    diskBytes: end.disk_bytes,
  };
}
