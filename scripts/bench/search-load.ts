/**
 * Queries, with payloads, as fast as `concurrency` callers get their answers, over kept-alive connections, for a
 * fixed time. The load comes from this process, so on a small machine it takes processor time that
 * the service would otherwise have: figures are a lower bound.
 */
import { Pool } from 'undici';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { type Dataset, queryOf } from '../dataset/read-dataset.ts';
import { knownTruths, recallOf } from '../dataset/truth.ts';
import { quantile } from './quantile.ts';

const HITS = 10;
const OK = 200;

export interface SearchTarget {
  url: string;
  key: string;
  collection: string;
  /** Undefined leaves it to the service. */
  hnswEf: number | undefined;
}

export interface LoadResult {
  queries: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Mean over the answers. */
  recall: number;
}

export class SearchLoad {
  readonly #dataset: Dataset;
  readonly #target: SearchTarget;
  readonly #bodies: readonly string[];

  constructor(dataset: Dataset, target: SearchTarget) {
    this.#dataset = dataset;
    this.#target = target;
    const params = target.hnswEf === undefined ? {} : { hnsw_ef: target.hnswEf };
    this.#bodies = Array.from({ length: dataset.queryCount }, (_, query) => {
      const vector = [...queryOf(dataset, query)];
      return JSON.stringify({ query: vector, limit: HITS, with_payload: true, params });
    });
  }

  async run(concurrency: number, durationMs: number): Promise<LoadResult> {
    const pool = new Pool(this.#target.url, { connections: concurrency });
    const deadline = Deadline.after(systemClock, durationMs);
    const startMs = systemClock.monotonicMs();
    const latenciesMs: number[] = [];
    const answers = new Map<number, number[]>();
    let next = 0;
    const caller = async (): Promise<void> => {
      while (!deadline.expired) {
        const query = next++ % this.#bodies.length;
        const sentMs = systemClock.monotonicMs();
        const ids = await this.#ask(pool, query);
        latenciesMs.push(systemClock.monotonicMs() - sentMs);
        answers.set(query, ids);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, caller));
    const seconds = (systemClock.monotonicMs() - startMs) / 1000;
    await pool.close();
    latenciesMs.sort((a, b) => a - b);
    return {
      queries: latenciesMs.length,
      perSecond: latenciesMs.length / seconds,
      p50Ms: quantile(latenciesMs, 0.5),
      p99Ms: quantile(latenciesMs, 0.99),
      recall: this.#recallOf(answers),
    };
  }

  /** Milliseconds until a query is answered, asking again while the service can not. */
  async untilAnswered(): Promise<number> {
    const pool = new Pool(this.#target.url, { connections: 1 });
    const startMs = systemClock.monotonicMs();
    let answered = false;
    while (!answered) {
      const { statusCode, body } = await this.#send(pool, 0);
      await body.dump();
      answered = statusCode === OK;
    }
    await pool.close();
    return systemClock.monotonicMs() - startMs;
  }

  async #ask(pool: Pool, query: number): Promise<number[]> {
    const { statusCode, body } = await this.#send(pool, query);
    const text = await body.text();
    if (statusCode !== OK) throw new Error(`a query was answered ${statusCode}: ${text}`);
    const { result } = JSON.parse(text) as { result: { points: { id: number }[] } };
    return result.points.map(({ id }) => id);
  }

  #send(pool: Pool, query: number): ReturnType<Pool['request']> {
    return pool.request({
      method: 'POST',
      path: `/collections/${this.#target.collection}/points/query`,
      headers: { 'api-key': this.#target.key, 'content-type': 'application/json' },
      body: this.#bodies[query] ?? '{}',
    });
  }

  #recallOf(answers: ReadonlyMap<number, number[]>): number {
    const truths = knownTruths(this.#dataset, HITS);
    const recalls = truths.flatMap((truth) => {
      const found = answers.get(truth.query);
      return found === undefined ? [] : [recallOf(this.#dataset, truth, found)];
    });
    return recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length;
  }
}
