/**
 * Queries, with payloads, as fast as `concurrency` callers get their answers, over kept-alive
 * connections, for a fixed time. The load comes from this process, so on a small machine it takes
 * processor time that the service would otherwise have: figures are a lower bound.
 */
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { type Dataset, queryOf, vectorOf } from '../dataset/read-dataset.ts';
import { knownTruths, recallOf } from '../dataset/truth.ts';
import { quantile } from './quantile.ts';
import { postBytes, RawCaller } from './raw-caller.ts';

const HITS = 10;
const STRANGE_QUERIES = 20_000;
const OK = 200;

export interface SearchTarget {
  url: string;
  key: string;
  collection: string;
  /** Undefined leaves it to the service. */
  hnswEf: number | undefined;
}

export interface LoadOptions {
  strange?: boolean;
  base64?: boolean;
  exact?: boolean;
}

export interface LoadResult {
  queries: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** Mean over the answers; NaN when it is not known. */
  recall: number;
}

export class SearchLoad {
  readonly #dataset: Dataset;
  readonly #target: SearchTarget;
  readonly #requests: readonly Buffer[];
  readonly #strange: boolean;

  /**
   * With `strange`, the queries are vectors of points, so many that hardly any rows are found twice
   * within some seconds; nothing is known of their recall. With `base64` the vectors are sent so,
   * which the coordinator reads in a fraction of the time.
   */
  constructor(
    dataset: Dataset,
    target: SearchTarget,
    { strange = false, base64 = false, exact = false }: LoadOptions = {},
  ) {
    this.#dataset = dataset;
    this.#target = target;
    this.#strange = strange;
    const { url, key, collection, hnswEf } = target;
    const params = exact ? { exact } : hnswEf === undefined ? {} : { hnsw_ef: hnswEf };
    const count = strange ? STRANGE_QUERIES : dataset.queryCount;
    const step = Math.floor(dataset.payloads.length / count);
    this.#requests = Array.from({ length: count }, (_, query) => {
      const vector = strange ? vectorOf(dataset, query * step) : queryOf(dataset, query);
      const text = base64 ? base64Of(vector) : [...vector];
      const searched = { query: text, limit: HITS, with_payload: true, params };
      const body = JSON.stringify(searched);
      return postBytes(url, `/collections/${collection}/points/query`, { 'api-key': key }, body);
    });
  }

  async run(concurrency: number, durationMs: number): Promise<LoadResult> {
    const deadline = Deadline.after(systemClock, durationMs);
    const startMs = systemClock.monotonicMs();
    const latenciesMs: number[] = [];
    const answers = new Map<number, Buffer>();
    let next = 0;
    const call = async (): Promise<void> => {
      const caller = await RawCaller.connect(this.#target.url);
      while (!deadline.expired) {
        const query = next++ % this.#requests.length;
        const sentMs = systemClock.monotonicMs();
        const { status, body } = await caller.ask(this.#requests[query] as Buffer);
        latenciesMs.push(systemClock.monotonicMs() - sentMs);
        if (status !== OK) throw new Error(`a query was answered ${status}: ${body.toString()}`);
        // Read when the clock stands.
        if (!this.#strange && !answers.has(query)) answers.set(query, Buffer.from(body));
      }
      caller.close();
    };
    await Promise.all(Array.from({ length: concurrency }, call));
    const seconds = (systemClock.monotonicMs() - startMs) / 1000;
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
    const caller = await RawCaller.connect(this.#target.url);
    const startMs = systemClock.monotonicMs();
    let answered = false;
    while (!answered) {
      const { status } = await caller.ask(this.#requests[0] as Buffer);
      answered = status === OK;
    }
    caller.close();
    return systemClock.monotonicMs() - startMs;
  }

  #recallOf(answers: ReadonlyMap<number, Buffer>): number {
    const truths = knownTruths(this.#dataset, HITS);
    const recalls = truths.flatMap((truth) => {
      const found = answers.get(truth.query);
      return found === undefined ? [] : [recallOf(this.#dataset, truth, idsIn(found))];
    });
    return recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length;
  }
}

/** The form in which the service takes vectors as text: little-endian float32. */
export function base64Of(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

function idsIn(body: Buffer): number[] {
  const { result } = JSON.parse(body.toString()) as { result: { points: { id: number }[] } };
  return result.points.map(({ id }) => id);
}
