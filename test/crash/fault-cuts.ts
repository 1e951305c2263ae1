/**
 * Follows the journal of a program on a faulty disk, and cuts the power after what was acknowledged
 * once a call had failed: what a failed sync has let go of must not be missing under what a later sync
 * has written.
 */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { must } from '../../shared/base/assert.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { PointsReader } from '../../worker/points/points-reader.ts';
import { shardFolder } from '../../worker/shard/folder.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { type Cut, DiskModel } from './disk-model.ts';
import type { JournalRecord } from './journal.ts';
import { describe, endingOf, ShardLedger } from './ledger.ts';
import { type Mark, parseMark } from './marks.ts';
import { type Action, descriptorOf } from './shard-plan.ts';
import { coldDirOf } from './shard-worker.ts';
import { quickFolder } from './shim.ts';

const SECTOR_BYTES = 512;
const WHOLE = { payload: true, vector: true };
const ROWS_MAX = 1_000;

interface Known {
  ledger: ShardLedger;
  isThere: boolean;
  /** What was seen when the disk was well again: it holds from the next write that is done. */
  saw: string | undefined;
}

export class FaultCuts {
  cuts = 0;
  readonly #disk = new DiskModel();
  readonly #scratch: string;
  readonly #random: SeededRandom;
  readonly #share: number;
  #run = '';
  #hadFault = false;
  #known = new Map<number, Known>();
  #actions = new Map<number, Action>();

  /** `share` of the acknowledgements are followed by a cut. */
  constructor(t: Cleanup, { seed, share }: { seed: number; share: number }) {
    this.#scratch = quickFolder(t);
    this.#random = new SeededRandom(seed);
    this.#share = share;
  }

  follow(records: readonly JournalRecord[]): void {
    for (const record of records) {
      this.#disk.apply(record);
      if (record.kind === 'fault') this.#hadFault = true;
      if (record.kind !== 'mark') continue;
      const mark = parseMark(record.data);
      if (mark !== undefined) this.#hear(mark);
    }
  }

  #hear(mark: Mark): void {
    if ('run' in mark) {
      this.#run = mark.run;
      this.#hadFault = false;
      this.#known = new Map();
      this.#actions = new Map();
    }
    if ('restarted' in mark) for (const { ledger } of this.#known.values()) ledger.died();
    if ('dropped' in mark) this.#known.delete(mark.dropped);
    if ('saw' in mark) this.#shard(mark.shard).saw = mark.saw;
    if ('began' in mark && mark.action !== undefined) this.#began(mark.began, mark.action);
    if ('refused' in mark) this.#refused(mark.refused, mark.code);
    if ('acknowledged' in mark) this.#acknowledged(mark.acknowledged);
  }

  #began(number: number, action: Action): void {
    this.#actions.set(number, action);
    if (action.kind === 'restart') return;
    const known = this.#shard(action.shard);
    if (action.kind === 'write') known.ledger.began(number, action.write);
    if (action.kind === 'drop') known.isThere = false;
  }

  #refused(number: number, code: string): void {
    const action = must(this.#actions.get(number), 'it began');
    if (action.kind === 'write') this.#shard(action.shard).ledger.ended(number, endingOf(code));
  }

  #acknowledged(number: number): void {
    const action = must(this.#actions.get(number), 'it began');
    if (action.kind === 'restart') return;
    const known = this.#shard(action.shard);
    if (action.kind === 'create') known.isThere = true;
    if (action.kind === 'write') {
      if (known.saw !== undefined) known.ledger.hold(known.saw);
      known.saw = undefined;
      known.ledger.ended(number, 'done');
    }
    if (this.#hadFault && known.isThere && this.#random.next() < this.#share) {
      this.#cut(action.shard, known.ledger);
    }
  }

  #shard(shard: number): Known {
    let known = this.#known.get(shard);
    if (known === undefined) {
      known = { ledger: new ShardLedger(), isThere: false, saw: undefined };
      this.#known.set(shard, known);
    }
    return known;
  }

  #cut(shard: number, ledger: ShardLedger): void {
    this.cuts += 1;
    const left = join(this.#scratch, 'left');
    mkdirSync(left);
    const random = this.#random;
    const isStrict = random.below(2) === 0;
    const cut: Cut = isStrict
      ? { kind: 'strict' }
      : { kind: 'torn', random, sectorBytes: SECTOR_BYTES };
    assert.ok(this.#disk.restore(left, cut, [this.#run]), `${this.#run} is there`);
    try {
      const folder = shardFolder(left, descriptorOf(shard).place);
      bringBack(folder, join(coldDirOf(left), relative(left, folder)));
      ledger.saw(rowsOf(folder));
    } catch (error) {
      throw new Error(`a ${cut.kind} cut in ${this.#run}: ${error}`, { cause: error });
    }
    rmSync(left, { recursive: true });
  }
}

/** Of a shard that is cold, what it would have when it is back. */
function bringBack(folder: string, coldFolder: string): void {
  if (!existsSync(join(folder, 'cold.json'))) return;
  const packed = readFileSync(join(coldFolder, 'points.db.zst'));
  for (const name of ['points.db-wal', 'points.db-shm'])
    rmSync(join(folder, name), { force: true });
  writeFileSync(join(folder, 'points.db'), zstdDecompressSync(packed));
}

function rowsOf(folder: string): string {
  const reader = new PointsReader(folder);
  try {
    const rows = [];
    for (let page = reader.scan(-1, ROWS_MAX, WHOLE); page.length > 0; ) {
      rows.push(...page);
      page = reader.scan(must(page.at(-1), 'it is not empty').label, ROWS_MAX, WHOLE);
    }
    return describe(
      rows.map(({ id, payload, vector }) => {
        return { id: Number(id), payload: JSON.parse(String(payload)), vector };
      }),
    );
  } finally {
    reader.close();
  }
}
