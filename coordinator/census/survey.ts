/**
 * Asks all replicas what they hold and take, and nobody notices: a few are asked at a time, each way of
 * asking then rests for some times as long as its answer took, and no shard is opened for it.
 *
 *   collections --> lane 1: ask, rest, ask, rest ...
 *               \-> lane 2: ask, rest, ...
 *
 * A collection is in a census as it is when its turn comes; one that is gone by then is not in it, nor one that
 * was made after the beginning. A worker that is away is not asked; one that is late costs its time once.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { CensusKind } from '../../shared/crypto/census-seal.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Reply } from '../../shared/protocol/messages.ts';
import type { KnownShard } from '../ledger/entries.ts';
import type { ClientRecord } from '../store/clients.ts';
import type { CollectionRecord } from '../store/collections.ts';
import {
  addTo,
  CENSUS_FORMAT,
  type CensusClient,
  type CensusCollection,
  type CensusHead,
  type CensusLine,
  type CensusReplica,
  type CensusShard,
  isCollection,
  isEnd,
  isHead,
  noSums,
  sumsOf,
} from './lines.ts';

/** A shard as the cluster knows it. */
export interface SurveyedSet {
  replicas: readonly { workerId: WorkerId; state: 'in_sync' | 'behind'; syncedVersion: number }[];
  /** Undefined while no replica has said it since the start. */
  lastVersion: number | undefined;
  /** What replicas in sync hold at that version. */
  held: { points: number; bytes: number };
}

export type CollectionPlace = Pick<
  CollectionRecord,
  'collectionId' | 'clientId' | 'mode' | 'namespace' | 'name'
>;

export interface SurveyDeps {
  clients: { page(from: { after?: ClientId }, limit: number): ClientRecord[] };
  /** Every collection that is there. */
  collections: () => Iterable<CollectionRecord>;
  /** The same collection as it is now; undefined when it is gone. */
  current: (place: CollectionPlace) => CollectionRecord | undefined;
  setOf: (shardId: ShardId) => SurveyedSet | undefined;
  ask: (
    route: { shardId: ShardId; workerId: WorkerId },
    deadline: Deadline,
  ) => Promise<Reply<'shard-census'>>;
  isConnected: (workerId: WorkerId) => boolean;
  /** What earlier censuses found in these shards. */
  lastKnown: (shardIds: readonly ShardId[]) => Promise<KnownShard[]>;
  clock: Clock;
}

/** A census while it is taken. */
export interface Survey {
  head: CensusHead;
  clients: Omit<CensusClient, 'live' | 'test'>[];
  collections: CensusCollection[];
}

/** What a survey is stopped with. */
export class SurveyStopped extends Error {}

const LANES = 4;
/** A lane rests so many times as long as an answer took. */
const REST = 2;
const ASK_TIMEOUT_MS = 5_000;
const CLIENTS_PER_PAGE = 500;
const SHARDS_PER_QUESTION = 500;
/** After so many asks in a row that took no time others have their turn. */
const ASKS_PER_TURN = 8;

export class Surveyor {
  readonly #deps: SurveyDeps;
  #stopped = false;
  #asks = 0;

  constructor(deps: SurveyDeps) {
    this.#deps = deps;
  }

  /** What is under way ends soon with `SurveyStopped`. */
  stop(): void {
    this.#stopped = true;
  }

  /** Asks everything. */
  async survey({
    census,
    day,
    kind,
  }: {
    census: string;
    day: string;
    kind: CensusKind;
  }): Promise<Survey> {
    const { clock, collections } = this.#deps;
    const started_at = new Date(clock.now()).toISOString();
    const head: CensusHead = { census, day, kind, started_at, format: CENSUS_FORMAT };
    const records = [...collections()].sort(byOwner);
    const clients = await this.#clients();
    const late = new Set<WorkerId>();
    const found = await this.#inLanes(records, async (record) => {
      const now = this.#deps.current(record);
      return now && this.#collection(now, late);
    });
    const survey: Survey = { head, clients, collections: found.filter((one) => one !== undefined) };
    await this.#recall(survey);
    return survey;
  }

  /**
   * Asks once more for what is unknown, of workers that can be asked; collections that are gone by now leave the
   * survey. Whether anything has changed.
   */
  async again(survey: Survey): Promise<boolean> {
    const late = new Set<WorkerId>();
    const toAsk = survey.collections.filter(({ shards }) => shards.some(isUnknown));
    const changes = await this.#inLanes(toAsk, (collection) =>
      this.#collectionAgain(collection, late),
    );
    const gone = new Set(toAsk.filter((_, at) => changes[at] === 'gone'));
    survey.collections = survey.collections.filter((collection) => !gone.has(collection));
    await this.#recall(survey);
    return changes.some((change) => change !== 'none');
  }

  async #collectionAgain(
    collection: CensusCollection,
    late: Set<WorkerId>,
  ): Promise<'none' | 'some' | 'gone'> {
    const now = this.#deps.current(placeOf(collection));
    if (now === undefined) return 'gone';
    const known = new Set(collection.shards.map(({ shard_id }) => shard_id));
    if (!now.shards.every(({ shardId }) => known.has(shardId))) {
      // Others have taken the place of its shards.
      Object.assign(collection, await this.#collection(now, late));
      return 'some';
    }
    let change: 'none' | 'some' = 'none';
    for (const [at, shard] of collection.shards.entries()) {
      if (!isUnknown(shard)) continue;
      const asked = await this.#shard(shard.shard_id as ShardId, shard.ordinal, late);
      if (isUnknown(asked)) continue;
      collection.shards[at] = asked;
      change = 'some';
    }
    return change;
  }

  async #clients(): Promise<Survey['clients']> {
    const clients: Survey['clients'] = [];
    for (let after: ClientId | undefined; ; ) {
      const page = this.#deps.clients.page(after === undefined ? {} : { after }, CLIENTS_PER_PAGE);
      for (const { clientId, planId, state } of page) {
        clients.push({ client_id: clientId, plan: planId, state });
      }
      after = page.at(-1)?.clientId;
      if (after === undefined || page.length < CLIENTS_PER_PAGE) return clients;
      await nextTurn();
    }
  }

  async #inLanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
    const results: R[] = Array(items.length);
    const entries = items.entries();
    let failed = false;
    const lane = async () => {
      for (const [at, item] of entries) {
        if (failed) return;
        results[at] = await work(item);
      }
    };
    const failing = (error: unknown) => {
      failed = true;
      throw error;
    };
    const count = Math.min(LANES, items.length);
    await Promise.all(Array.from({ length: count }, () => lane().catch(failing)));
    return results;
  }

  async #collection(record: CollectionRecord, late: Set<WorkerId>): Promise<CensusCollection> {
    const shards: CensusShard[] = [];
    for (const { shardId, ordinal } of record.shards) {
      shards.push(await this.#shard(shardId, ordinal, late));
    }
    return {
      client_id: record.clientId,
      mode: record.mode,
      namespace: record.namespace,
      collection: record.name,
      collection_id: record.collectionId,
      sums: sumsOf(shards),
      shards,
    };
  }

  async #shard(shardId: ShardId, ordinal: number, late: Set<WorkerId>): Promise<CensusShard> {
    const place = { shard_id: shardId, ordinal };
    const set = this.#deps.setOf(shardId);
    const replicas: CensusReplica[] = [];
    for (const { workerId, state, syncedVersion } of set?.replicas ?? []) {
      const said = await this.#ask({ shardId, workerId }, late);
      replicas.push({
        worker_id: workerId,
        state,
        versions_behind: versionsBehind(state, syncedVersion, set?.lastVersion),
        version: said?.version ?? null,
        points: said?.points ?? null,
        bytes: said?.bytes ?? null,
        memory_bytes: said?.memoryBytes ?? null,
        disk_bytes: said?.diskBytes ?? null,
      });
    }
    const at = new Date(this.#deps.clock.now()).toISOString();
    const best = foremost(replicas);
    if (best !== undefined) return { ...place, source: 'replica', at, ...best, replicas };
    const { lastVersion, held } = set ?? {};
    if (lastVersion === undefined || held === undefined) return unheard({ ...place, replicas });
    const { points, bytes } = held;
    return { ...place, source: 'coordinator', at, version: lastVersion, points, bytes, replicas };
  }

  /** Undefined when it does not answer. */
  async #ask(
    route: { shardId: ShardId; workerId: WorkerId },
    late: Set<WorkerId>,
  ): Promise<Reply<'shard-census'> | undefined> {
    const { clock, ask, isConnected } = this.#deps;
    if (this.#stopped) throw new SurveyStopped();
    if (!isConnected(route.workerId) || late.has(route.workerId)) return undefined;
    const startMs = clock.monotonicMs();
    try {
      return await ask(route, Deadline.after(clock, ASK_TIMEOUT_MS));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      if (error.code === 'deadline_exceeded') late.add(route.workerId);
      return undefined;
    } finally {
      await this.#rest(clock.monotonicMs() - startMs);
    }
  }

  async #rest(tookMs: number): Promise<void> {
    this.#asks += 1;
    if (tookMs > 0) await this.#pause(REST * tookMs);
    else if (this.#asks % ASKS_PER_TURN === 0) await nextTurn();
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#deps.clock.after(Math.min(ms, ASK_TIMEOUT_MS), resolve));
  }

  /** Gives shards of which nobody has heard since the start what earlier censuses found. */
  async #recall({ collections }: Survey): Promise<void> {
    const unheardOf = collections.flatMap(({ shards }) =>
      shards.filter(({ source }) => source === 'none'),
    );
    for (let from = 0; from < unheardOf.length; from += SHARDS_PER_QUESTION) {
      const some = unheardOf.slice(from, from + SHARDS_PER_QUESTION);
      const known = await this.#deps.lastKnown(some.map(({ shard_id }) => shard_id as ShardId));
      const byId = new Map(known.map((one) => [one.shardId as string, one]));
      for (const shard of some) {
        const earlier = byId.get(shard.shard_id);
        if (earlier === undefined) continue;
        const { version, points, bytes, at } = earlier;
        Object.assign(shard, {
          source: 'census',
          at: new Date(at).toISOString(),
          version,
          points,
          bytes,
        });
      }
    }
    for (const collection of collections) collection.sums = sumsOf(collection.shards);
  }
}

function isUnknown({ source }: CensusShard): boolean {
  return source !== 'replica';
}

function placeOf(collection: CensusCollection): CollectionPlace {
  return {
    collectionId: collection.collection_id as CollectionId,
    clientId: collection.client_id as ClientId,
    mode: collection.mode,
    namespace: collection.namespace,
    name: collection.collection,
  };
}

/** How many shards are unknown. */
export function unknownIn({ collections }: Survey): number {
  return collections.reduce((sum, { sums }) => sum + sums.unknown_shards, 0);
}

/** The survey as the lines of an archive. */
export function* linesOf(
  { head, clients, collections }: Survey,
  finishedAt: string,
): Iterable<CensusLine> {
  yield head;
  const byClient = Map.groupBy(collections, ({ client_id }) => client_id);
  const total = noSums();
  for (const client of clients) {
    const sums = { live: noSums(), test: noSums() };
    const own = byClient.get(client.client_id) ?? [];
    for (const collection of own) {
      addTo(sums[collection.mode], collection);
      addTo(total, collection);
    }
    yield { ...client, ...sums };
    yield* own;
  }
  yield { end: { clients: clients.length, ...total, finished_at: finishedAt } };
}

/** The survey that these are the lines of. */
export async function surveyOf(lines: AsyncIterable<CensusLine>): Promise<Survey> {
  let head: CensusHead | undefined;
  const clients: Survey['clients'] = [];
  const collections: CensusCollection[] = [];
  for await (const line of lines) {
    if (isHead(line)) head = line;
    else if (isCollection(line)) collections.push(line);
    else if (!isEnd(line))
      clients.push({ client_id: line.client_id, plan: line.plan, state: line.state });
  }
  if (head === undefined) throw new Error('a census has no head');
  return { head, clients, collections };
}

/** What the one of the highest version says of those that are in sync. */
function foremost(replicas: readonly CensusReplica[]) {
  let best: { version: number; points: number; bytes: number } | undefined;
  for (const { state, version, points, bytes } of replicas) {
    if (state !== 'in_sync' || version === null || points === null || bytes === null) continue;
    if (best === undefined || version > best.version) best = { version, points, bytes };
  }
  return best;
}

function unheard(shard: Pick<CensusShard, 'shard_id' | 'ordinal' | 'replicas'>): CensusShard {
  const { replicas, ...place } = shard;
  return { ...place, source: 'none', at: null, version: null, points: 0, bytes: 0, replicas };
}

function versionsBehind(
  state: 'in_sync' | 'behind',
  syncedVersion: number,
  lastVersion: number | undefined,
): number | null {
  if (state === 'in_sync') return 0;
  return lastVersion === undefined ? null : Math.max(0, lastVersion - syncedVersion);
}

function byOwner(a: CollectionRecord, b: CollectionRecord): number {
  return compare(a.clientId, b.clientId) || compare(a.mode, b.mode) || byName(a, b);
}

function byName(a: CollectionRecord, b: CollectionRecord): number {
  return compare(a.namespace, b.namespace) || compare(a.name, b.name);
}

function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
