/**
 * A reader that runs beside writers and holds every answer against what was possible while it was
 * under way (`timeline.ts`):
 *
 *   - a row is a version of its point that the read may show, payload and vector together, and it
 *     matches the filter; no point comes twice
 *   - a score is that of the vector in the same row, and the best come first
 *   - a settled point is missed by no scroll, count or retrieve; by no exact search that has room
 *     for it or shows a worse one; and no search has fewer hits than there are settled matches, up
 *     to its limit
 */
import assert from 'node:assert/strict';
import { inspect, isDeepStrictEqual } from 'node:util';
import type { CollectionClient, Hit } from './collection-client.ts';
import type { Generator } from './generate.ts';
import {
  type Clause,
  compareIds,
  type Distance,
  holdsFilter,
  type Id,
  isHigherNearer,
  type ModelPoint,
  scoreOf,
} from './model.ts';
import { INDEXES, type Recall, SCORE_TOLERANCE, textOf } from './session.ts';
import type { Timeline, Version, View } from './timeline.ts';

const HITS_MAX = 50;
const FEW_HITS_MAX = 5;
const PAGE_POINTS_MAX = 2_000;
const EF_MIN = 4;
const EF_MAX = 64;
const FULL = { with_payload: true, with_vector: true };

export class Watcher {
  readonly recall: Recall = { wanted: 0, found: 0 };
  readonly #client: CollectionClient;
  readonly #timeline: Timeline;
  readonly #generate: Generator;
  readonly #distance: Distance;
  readonly #owners: number;
  readonly #indexed = new Set<string>();

  constructor(
    parts: { client: CollectionClient; timeline: Timeline; generate: Generator },
    options: { distance: Distance; owners: number },
  ) {
    this.#client = parts.client;
    this.#timeline = parts.timeline;
    this.#generate = parts.generate;
    this.#distance = options.distance;
    this.#owners = options.owners;
  }

  /** One random read; its name. */
  async step(): Promise<string> {
    const [name, run] = this.#generate.random.pick<[string, () => Promise<void>]>([
      ['exact search', () => this.#search(true)],
      ['exact search', () => this.#search(true)],
      ['search', () => this.#search(false)],
      ['search', () => this.#search(false)],
      ['search', () => this.#search(false)],
      ['scroll', () => this.#scroll()],
      ['count', () => this.#count()],
      ['retrieve', () => this.#retrieve()],
    ]);
    await run();
    return name;
  }

  /** Makes a payload index, or deletes one that it made. */
  async toggleIndex(): Promise<void> {
    const [field, type] = this.#generate.random.pick(INDEXES);
    if (this.#indexed.delete(field)) {
      await this.#client.call('DELETE', `/index/${encodeURIComponent(field)}`);
      return;
    }
    this.#indexed.add(field);
    const body = { field_name: field, field_schema: type };
    await this.#client.call('PUT', '/index?wait=true', body);
  }

  async #search(exact: boolean): Promise<void> {
    const { random } = this.#generate;
    const query = this.#generate.vector();
    const filter = this.#filterOrNone();
    const limit = 1 + random.below(random.pick([FEW_HITS_MAX, HITS_MAX]));
    const ef = EF_MIN + random.below(EF_MAX - EF_MIN + 1);
    const params = exact ? { exact } : { hnsw_ef: ef };
    const read = this.#timeline.read();
    const hits = await this.#client.search({
      ...FULL,
      query,
      limit,
      params,
      ...(filter && { filter }),
    });
    const view = read();
    const what = `${exact ? 'exact' : `ef ${ef}`} search, limit ${limit}, ${textOf(filter)}`;
    checkRows(hits, view, filter, this.#distance);
    const scores = hits.map((hit) => hit.score);
    const shown = hits.map((hit) => scoreOf(this.#distance, query, hit.vector ?? []));
    for (const [i, score] of scores.entries()) {
      const near = Math.abs(score - (shown[i] ?? Number.NaN)) < SCORE_TOLERANCE;
      assert.ok(near, `${what}: score ${score} with a vector that has ${shown[i]}`);
    }
    const [nearer, farther] = isHigherNearer(this.#distance) ? [-1, 1] : [1, -1];
    const sorted = scores.toSorted((a, b) => a * nearer + b * farther);
    assert.deepEqual(scores, sorted, `${what}: the best come first`);
    const matches = matchingOf(view.settled, filter);
    const least = Math.min(limit, matches.length);
    assert.ok(hits.length <= limit, what);
    assert.ok(hits.length >= least, `${what}: ${hits.length} hits, at least ${least} are there`);
    this.#compareNearest(hits, { matches, query, limit, exact });
  }

  /** Settled matches that are nearer than the last hit, or all where there was room. */
  #compareNearest(
    hits: Hit[],
    asked: { matches: ModelPoint[]; query: number[]; limit: number; exact: boolean },
  ): void {
    const sign = isHigherNearer(this.#distance) ? 1 : -1;
    const last = hits.length < asked.limit ? undefined : hits.at(-1)?.score;
    const ids = new Set(hits.map((hit) => hit.id));
    for (const { id, vector } of asked.matches) {
      const score = scoreOf(this.#distance, asked.query, vector);
      if (last !== undefined && (score - last) * sign < SCORE_TOLERANCE) continue;
      if (asked.exact) assert.ok(ids.has(id), `${id} has ${score} and was missed`);
      else {
        this.recall.wanted += 1;
        if (ids.has(id)) this.recall.found += 1;
      }
    }
  }

  async #scroll(): Promise<void> {
    const { random } = this.#generate;
    const filter = this.#filterOrNone();
    const limit = 1 + random.below(PAGE_POINTS_MAX);
    const offset = random.next() < 0.5 ? this.#generate.id() : undefined;
    const read = this.#timeline.read();
    const page = await this.#client.scroll({
      ...FULL,
      limit,
      ...(filter && { filter }),
      ...(offset !== undefined && { offset }),
    });
    const view = read();
    const rows = page.points;
    checkRows(rows, view, filter, this.#distance);
    const ids = rows.map((row) => row.id);
    assert.deepEqual(ids, ids.toSorted(compareIds), 'a page is in the order of the ids');
    const next = page.next_page_offset ?? undefined;
    assert.ok(rows.length <= limit && (next === undefined || rows.length === limit));
    const listed = new Set(ids);
    for (const { id } of matchingOf(view.settled, filter)) {
      const before = offset !== undefined && compareIds(id, offset) < 0;
      const after = next !== undefined && compareIds(id, next) >= 0;
      const page = () =>
        inspect({ offset, next, limit, filter, ids }, { depth: 9, maxArrayLength: 400 });
      const isRight = listed.has(id) === (!before && !after);
      assert.ok(isRight, isRight ? '' : `${id} has its place in the page ${page()}`);
    }
  }

  async #count(): Promise<void> {
    const filter = this.#filterOrNone() ?? { must: [] };
    const read = this.#timeline.read();
    const count = await this.#client.count(filter);
    const view = read();
    const least = matchingOf(view.settled, filter).length;
    const possible = [...view.unsettled.values()].filter((versions) => {
      return versions.some((version) => version !== undefined && holdsFilter(filter, version));
    });
    assert.ok(count >= least, `${count} counted, at least ${least} are there`);
    const most = least + possible.length;
    assert.ok(count <= most, `${count} counted, at most ${most} are there`);
  }

  async #retrieve(): Promise<void> {
    const ids = this.#generate.ids(HITS_MAX);
    const read = this.#timeline.read();
    const rows = await this.#client.retrieve({ ...FULL, ids });
    const view = read();
    checkRows(rows, view, undefined, this.#distance);
    const listed = new Set(rows.map((row) => row.id));
    for (const id of ids) if (view.settled.has(id)) assert.ok(listed.has(id), `${id} is missing`);
  }

  /** None, one for the points of a writer, or any. */
  #filterOrNone(): Clause | undefined {
    const { random } = this.#generate;
    if (random.next() < 0.3) return undefined;
    if (random.next() < 0.7) return this.#generate.filter();
    return { must: [{ key: 'owner', match: { value: random.below(this.#owners) } }] };
  }
}

function matchingOf(points: ReadonlyMap<Id, ModelPoint>, filter: Clause | undefined): ModelPoint[] {
  const all = [...points.values()];
  return filter === undefined ? all : all.filter((point) => holdsFilter(filter, point));
}

function checkRows(rows: Hit[], view: View, filter: Clause | undefined, distance: Distance): void {
  assert.equal(new Set(rows.map((row) => row.id)).size, rows.length, 'no point comes twice');
  for (const row of rows) {
    const settled = view.settled.get(row.id);
    const possible = settled === undefined ? (view.unsettled.get(row.id) ?? []) : [settled];
    const shown = possible.find((version) => isShown(row, version, distance));
    assert.ok(shown, `${row.id} was never so (${possible.length} versions were possible)`);
    const matches = filter === undefined || holdsFilter(filter, shown);
    assert.ok(matches, `${row.id} does not match on its own payload`);
  }
}

function isShown(row: Hit, version: Version, distance: Distance): version is ModelPoint {
  if (version === undefined) return false;
  const length = distance === 'Cosine' ? Math.hypot(...version.vector) : 1;
  const isSame = row.vector?.every((x, i) => {
    return Math.abs(x - (version.vector[i] ?? 0) / length) < SCORE_TOLERANCE;
  });
  return isSame === true && isDeepStrictEqual(row.payload ?? {}, version.payload);
}
