/**
 * Follows a journal and cuts the power as it goes.
 *
 * What a strict cut leaves changes with syncs only, so a folder is looked at once for all the cuts
 * between two of them: against what had been acknowledged by the last of these and begun by the
 * first. Torn cuts are another folder at every point: some of them are drawn, or with
 * `TEST_PROFILE=long` all.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { SeededRandom } from '../../shared/base/random.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { IS_LONG } from '../harness/profile.ts';
import { type Cut, DiskModel } from './disk-model.ts';
import type { JournalRecord } from './journal.ts';
import { type Mark, parseMark } from './marks.ts';
import { quickFolder, rootOf } from './shim.ts';

/** What was said by a moment: how many actions had begun, and which were acknowledged. */
export interface Said {
  began: number;
  acknowledged: ReadonlySet<number>;
}

/**
 * Looks at what a cut left, and throws when it is not right. `least` is what had been said at the
 * last moment with this folder, `most` at the first.
 */
export type CheckFolder = (folder: string, least: Said, most: Said) => Promise<void>;

interface Torn {
  /** One of so many points is cut; of those before syncs, where most may be torn, one of so many. */
  every: number;
  beforeSyncs: number;
  variants: number;
}

const TORN: Torn = IS_LONG
  ? { every: 1, beforeSyncs: 1, variants: 4 }
  : { every: 60, beforeSyncs: 2, variants: 1 };
const SECTORS = [512, 4_096];

export class CutRun {
  /** Folders that were looked at. */
  strict = 0;
  torn = 0;
  readonly #disk = new DiskModel();
  readonly #check: CheckFolder;
  readonly #note: (mark: Mark) => void;
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #scratch: string;
  readonly #tearing: Torn = TORN;
  readonly #acknowledged = new Set<number>();
  #began = 0;
  /** What had begun when what a strict cut leaves came to be. */
  #beganThen = 0;
  #passed = 0;

  constructor(
    t: Cleanup,
    parts: { seed: number; check: CheckFolder; note?: (mark: Mark) => void },
  ) {
    this.#seed = parts.seed;
    this.#check = parts.check;
    this.#note = parts.note ?? (() => undefined);
    this.#random = new SeededRandom(parts.seed + 1);
    this.#scratch = quickFolder(t);
  }

  /** Goes through the journal of `folder`, all of which it must tell. */
  async run(records: readonly JournalRecord[], folder: string): Promise<void> {
    for (const record of records) await this.#pass(record);
    await this.#cut({ kind: 'strict' }, this.#beganThen);
    await this.#cut({ kind: 'none' }, this.#began);
    assertSame(this.#disk.contents(), rootOf(folder));
  }

  async #pass(record: JournalRecord): Promise<void> {
    if (record.kind === 'sync') {
      // The last point with this folder.
      await this.#cut({ kind: 'strict' }, this.#beganThen);
      this.strict += 1;
      if (this.#random.below(this.#tearing.beforeSyncs) === 0) await this.#cutTorn();
    }
    if (this.#disk.apply(record)) this.#beganThen = this.#began;
    if (record.kind === 'mark') this.#hear(parseMark(record.data));
    this.#passed += 1;
    if (this.#random.below(this.#tearing.every) === 0) await this.#cutTorn();
  }

  async #cutTorn(): Promise<void> {
    for (let variant = 0; variant < this.#tearing.variants; variant += 1) {
      const sectorBytes = this.#random.pick(SECTORS);
      await this.#cut({ kind: 'torn', random: this.#random, sectorBytes }, this.#began);
      this.torn += 1;
    }
  }

  async #cut(cut: Cut, began: number): Promise<void> {
    const left = join(this.#scratch, 'left');
    mkdirSync(left);
    this.#disk.restore(left, cut);
    const least: Said = { began: this.#began, acknowledged: this.#acknowledged };
    try {
      await this.#check(join(left, 'data'), least, { ...least, began });
    } catch (error) {
      const where = `a ${cut.kind} cut after ${this.#passed} changes, seed ${this.#seed}`;
      throw new Error(`${where}: ${error instanceof Error ? error.message : ''}`, { cause: error });
    }
    rmSync(left, { recursive: true });
  }

  #hear(mark: Mark | undefined): void {
    if (mark === undefined) return;
    this.#note(mark);
    if ('began' in mark) this.#began = mark.began + 1;
    if ('acknowledged' in mark) this.#acknowledged.add(mark.acknowledged);
  }
}

/** The journal has told everything: what it comes to is what is on the disk. */
function assertSame(contents: Map<string, Buffer | null>, root: string): void {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
  const found = names.filter((name) => !name.endsWith('-shm'));
  assert.deepEqual(found.toSorted(), [...contents.keys()].toSorted());
  for (const [name, content] of contents) {
    const path = join(root, name);
    if (statSync(path).isDirectory()) assert.equal(content, null, name);
    else assert.ok(content?.equals(readFileSync(path)), `${name} is as the journal has it`);
  }
}
