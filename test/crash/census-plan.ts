/** What is written to the folder of archives, made from a seed. After a crash each file is as after some step. */
import { join } from 'node:path';
import { CensusArchive } from '../../coordinator/census/archive.ts';
import { CENSUS_FORMAT, type CensusLine } from '../../coordinator/census/lines.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { auditKeyOf } from '../../shared/crypto/audit-chain.ts';
import { type CensusSeal, censusSeedOf } from '../../shared/crypto/census-seal.ts';

export interface CensusStep {
  seal: Omit<CensusSeal, 'sha256'>;
  /** Undefined: the file is removed. */
  lines: CensusLine[] | undefined;
}

export function openArchive(dataDir: string): CensusArchive {
  const key = auditKeyOf(censusSeedOf('pepper'.repeat(8)));
  return new CensusArchive({ folder: join(dataDir, 'census'), key });
}

/** Each day: a draft, the same with more in it, the archive, and the draft goes. */
export function censusPlanOf(seed: number, days: number): CensusStep[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: days }, (_, i): CensusStep[] => {
    const day = `2026-11-${String(i + 1).padStart(2, '0')}`;
    const seal = { at: `${day}T00:00:01.000Z`, day, kind: 'scheduled' } as const;
    const draft = { ...seal, file: CensusArchive.draftOf(day) };
    return [
      { seal: draft, lines: linesOf(day, random) },
      { seal: draft, lines: linesOf(day, random) },
      { seal: { ...seal, file: `${day}.jsonl.zst` }, lines: linesOf(day, random) },
      { seal: draft, lines: undefined },
    ];
  }).flat();
}

/** Now and then more than the compressor gives away at once. */
function linesOf(day: string, random: SeededRandom): CensusLine[] {
  const head = {
    census: day,
    day,
    kind: 'scheduled',
    started_at: day,
    format: CENSUS_FORMAT,
  } as const;
  const shards = Array.from({ length: random.below(2_000) }, (_, ordinal) => {
    const amounts = {
      version: random.below(1e6),
      points: random.below(1e6),
      bytes: random.below(1e9),
    };
    return { shard_id: '', ordinal, source: 'replica' as const, at: day, ...amounts, replicas: [] };
  });
  const place = {
    client_id: '',
    mode: 'live',
    namespace: '',
    collection: '',
    collection_id: '',
  } as const;
  const none = { unknown_shards: 0, points: 0, bytes: 0, memory_bytes: 0, disk_bytes: 0 };
  return [head, { ...place, sums: { shards: shards.length, ...none }, shards }];
}

/** The text of a file of the archive. Throws when it is not what was sealed. */
export async function textOf(archive: CensusArchive, file: string): Promise<string> {
  await archive.check(file);
  let text = '';
  for await (const line of archive.texts(file)) text += `${line}\n`;
  return text;
}
