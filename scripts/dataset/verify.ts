/**
 * What a loaded dataset must answer: everything is there once and as it was sent, and searches
 * find the right neighbours.
 */
import type { QdrantClient } from '@qdrant/js-client-rest';
import { inParallel } from './in-parallel.ts';
import { type Dataset, type Payload, queryOf } from './read-dataset.ts';
import { filteredTruths, knownTruths, recallOf, type Truth } from './truth.ts';

const HITS = 10;
const CONCURRENCY = 4;
const PAGE_POINTS = 5_000;

export interface Search {
  name: string;
  /** The least recall that counts as right. */
  recallMin: number;
  hnswEf?: number;
  exact?: boolean;
  filter?: { matches(payload: Payload): boolean; filter: object };
}

const PYTHON = {
  matches: (payload: Payload) => payload.section === 'python',
  filter: { must: [{ key: 'section', match: { value: 'python' } }] },
};
const LARGE = {
  matches: (payload: Payload) => Number(payload.installed_kb) >= 100_000,
  filter: { must: [{ key: 'installed_kb', range: { gte: 100_000 } }] },
};

export const SEARCHES: readonly Search[] = [
  { name: 'default', recallMin: 0.95 },
  { name: 'hnsw_ef 256', recallMin: 0.99, hnswEf: 256 },
  { name: 'exact', recallMin: 1, exact: true },
  { name: 'section = python', recallMin: 0.95, filter: PYTHON },
  { name: 'installed_kb >= 100000', recallMin: 0.95, filter: LARGE },
];

export interface SearchResult {
  name: string;
  recall: number;
  recallMin: number;
  /** Hits that do not match the filter; always wrong. */
  strays: number;
}

/** Runs the dataset's queries, or the first `queriesMax` of them, as `search` says. */
export async function measureRecall(
  client: QdrantClient,
  dataset: Dataset,
  collection: string,
  search: Search,
  queriesMax = Number.POSITIVE_INFINITY,
): Promise<SearchResult> {
  const truths = truthsOf(dataset, search).slice(0, queriesMax);
  let recallSum = 0;
  let strays = 0;
  await inParallel(truths.length, CONCURRENCY, async (index) => {
    const truth = truths[index];
    if (truth === undefined) return;
    const rows = await ask(client, dataset, { collection, search, query: truth.query });
    const matching = rows.filter((row) => isMatch(dataset, search, row));
    strays += rows.length - matching.length;
    recallSum += recallOf(dataset, truth, matching);
  });
  const { name, recallMin } = search;
  return { name, recall: recallSum / truths.length, recallMin, strays };
}

/** Sentences about what is missing, there twice, or not as it was sent; empty when all is well. */
export async function findDamage(
  client: QdrantClient,
  dataset: Dataset,
  collection: string,
): Promise<string[]> {
  const expected = dataset.payloads.length;
  const seen = new Map<number, number>();
  let changed = 0;
  let offset: number | string | undefined;
  do {
    const paging = { limit: PAGE_POINTS, ...(offset === undefined ? {} : { offset }) };
    const page = await client.scroll(collection, { ...paging, with_payload: true });
    for (const { id, payload } of page.points) {
      const row = Number(id);
      seen.set(row, (seen.get(row) ?? 0) + 1);
      if (JSON.stringify(payload) !== JSON.stringify(dataset.payloads[row])) changed += 1;
    }
    const next = page.next_page_offset;
    offset = typeof next === 'number' || typeof next === 'string' ? next : undefined;
  } while (offset !== undefined);
  const { count } = await client.count(collection, { exact: true });
  const missing = dataset.payloads.filter((_, row) => !seen.has(row)).length;
  const twice = [...seen.values()].filter((times) => times > 1).length;
  const problems = { missing, 'there twice': twice, 'with another payload': changed };
  return [
    ...Object.entries(problems).flatMap(([what, points]) =>
      points ? [`${points} points ${what}`] : [],
    ),
    ...(count === expected ? [] : [`count says ${count}, ${expected} were loaded`]),
  ];
}

function truthsOf(dataset: Dataset, search: Search): Truth[] {
  if (search.filter === undefined) return knownTruths(dataset, HITS);
  const rows = dataset.payloads.flatMap((_, row) => (isMatch(dataset, search, row) ? [row] : []));
  return filteredTruths(dataset, HITS, rows);
}

function isMatch(dataset: Dataset, search: Search, row: number): boolean {
  return search.filter?.matches(dataset.payloads[row] ?? {}) ?? true;
}

async function ask(
  client: QdrantClient,
  dataset: Dataset,
  { collection, search, query }: { collection: string; search: Search; query: number },
): Promise<number[]> {
  const { points } = await client.query(collection, {
    query: [...queryOf(dataset, query)],
    limit: HITS,
    params: {
      ...(search.hnswEf === undefined ? {} : { hnsw_ef: search.hnswEf }),
      ...(search.exact === undefined ? {} : { exact: search.exact }),
    },
    ...(search.filter === undefined ? {} : { filter: search.filter.filter }),
  });
  return points.map((point) => Number(point.id));
}
