/**
 * What is done to shards in the tests of crashes, made from a seed, and what is stored after each
 * write. A program does it; another one, which finds the folder after a crash, knows from here what
 * has to be there.
 */
import { must } from '../../shared/base/assert.ts';
import type { ClientId, CollectionId, ShardId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import type { Filter } from '../../shared/domain/filter.ts';

export const DIMENSION = 8;
const TAGS = 4;
/** Ids are drawn from so few that most writes meet points that are there. */
const IDS = 60;
/** Some payloads are longer than a page, so that rows have overflow pages. */
const TEXT_CHARS = [3, 40, 6_000];

export type Write =
  | { kind: 'upsert'; ids: number[]; round: number }
  | { kind: 'vectors'; ids: number[]; round: number }
  | { kind: 'set-payload'; ids: number[]; round: number }
  | { kind: 'set-payload-where'; tag: number; round: number }
  | { kind: 'delete'; ids: number[] }
  | { kind: 'delete-where'; tag: number };

export type Action =
  | { kind: 'create' | 'drop' | 'save' | 'index-field' | 'freeze'; shard: number }
  /** The version is one above that of the shard's write before. */
  | { kind: 'write'; shard: number; version: number; write: Write }
  /** The whole worker, in order: images saved, databases closed. */
  | { kind: 'restart' };

/** Actions of one step are begun in this order and then run beside each other. */
export type Step = Action[];

export interface Stored {
  vectorRound: number;
  payload: { id: number; tag: number; text: string; round?: number };
}
/** By id. */
export type Points = ReadonlyMap<number, Stored>;

export interface ShardPlan {
  seed: number;
  shards: number;
  steps: Step[];
}

/** Two shards, all kinds of writes alone and beside each other; the first one is dropped. */
export function planOf(seed: number, rounds: number): ShardPlan {
  const random = new SeededRandom(seed);
  const shards = 2;
  const steps: Step[] = [];
  for (let shard = 0; shard < shards; shard += 1) steps.push([{ kind: 'create', shard }]);
  const models = steps.map(() => ({ version: 0, points: new Map<number, Stored>() }));
  const action = (shard: number, drawn: (points: Points) => Write): Action => {
    const model = must(models[shard], 'each shard has one');
    const write = drawn(model.points);
    applyWrite(model.points, write);
    model.version += 1;
    return { kind: 'write', shard, version: model.version, write };
  };
  const draw = (shard: number, alone: boolean): Action => {
    return action(shard, (points) => drawWrite(random, points, alone, steps.length));
  };
  for (let shard = 0; shard < shards; shard += 1) {
    const ids = Array.from({ length: 40 }, (_, id) => id);
    steps.push([action(shard, () => ({ kind: 'upsert', ids, round: 0 }))]);
  }
  for (let round = 0; round < rounds; round += 1) {
    const shard = random.below(shards);
    steps.push([draw(shard, true)]);
    const beside = Array.from({ length: 4 }, () => draw(random.below(shards), false));
    if (round % 3 === 1) beside.push({ kind: 'save', shard });
    steps.push(beside);
    if (round % 3 === 2) steps.push([{ kind: 'index-field', shard }]);
    // What comes next for the shard brings it back.
    if (round % 2 === 1) steps.push([{ kind: 'freeze', shard }]);
    if (round % 4 === 3) steps.push([{ kind: 'restart' }]);
  }
  steps.push([{ kind: 'save', shard: 0 }], [{ kind: 'drop', shard: 0 }]);
  steps.push([draw(1, true)], [{ kind: 'restart' }], [draw(1, false)]);
  steps.push([{ kind: 'freeze', shard: 1 }], [{ kind: 'restart' }], [draw(1, false)]);
  return { seed, shards, steps };
}

function drawWrite(random: SeededRandom, points: Points, alone: boolean, round: number): Write {
  const present = [...points.keys()];
  const some = (count: number): number[] => {
    if (present.length === 0) return [];
    return [...new Set(Array.from({ length: count }, () => random.pick(present)))];
  };
  const tags = new Set([...points.values()].map(({ payload }) => payload.tag));
  const tag = random.pick([...tags]);
  const kind = random.below(alone ? 7 : 5);
  if (present.length < 10 || kind <= 1) {
    const ids = Array.from({ length: 1 + random.below(6) }, () => random.below(IDS));
    return { kind: 'upsert', ids: [...new Set(ids)], round };
  }
  if (kind === 2) return { kind: 'delete', ids: some(4) };
  if (kind === 3) return { kind: 'set-payload', ids: some(3), round };
  if (kind === 4) return { kind: 'vectors', ids: some(3), round };
  if (kind === 5) return { kind: 'delete-where', tag };
  return { kind: 'set-payload-where', tag, round };
}

/** The same change to the model. Every write of a plan changes something. */
export function applyWrite(points: Map<number, Stored>, write: Write): void {
  switch (write.kind) {
    case 'upsert':
      for (const id of write.ids) {
        points.set(id, { vectorRound: write.round, payload: payloadOf(id, write.round) });
      }
      break;
    case 'vectors':
      for (const id of write.ids) {
        points.set(id, { ...must(points.get(id), 'it is there'), vectorRound: write.round });
      }
      break;
    case 'delete':
      for (const id of write.ids) points.delete(id);
      break;
    case 'delete-where':
      for (const id of withTag(points, write.tag)) points.delete(id);
      break;
    case 'set-payload':
    case 'set-payload-where': {
      const ids = 'ids' in write ? write.ids : withTag(points, write.tag);
      for (const id of ids) {
        const { vectorRound, payload } = must(points.get(id), 'it is there');
        points.set(id, { vectorRound, payload: { ...payload, round: write.round } });
      }
      break;
    }
  }
}

function withTag(points: Points, tag: number): number[] {
  return [...points].filter(([, { payload }]) => payload.tag === tag).map(([id]) => id);
}

export function payloadOf(id: number, round: number): Stored['payload'] {
  const text = 'x'.repeat(TEXT_CHARS[(id + round) % TEXT_CHARS.length] ?? 0);
  return { id, tag: (id + round) % TAGS, text };
}

const vectors = new Map<number, Float32Array>();

/** Of one point at one round; different for each. Not to be written to. */
export function vectorOf(id: number, round: number): Float32Array {
  const seed = id * 1_000 + round;
  let vector = vectors.get(seed);
  if (vector === undefined) {
    const random = new SeededRandom(seed);
    vector = Float32Array.from({ length: DIMENSION }, () => random.normal());
    vectors.set(seed, vector);
  }
  return vector;
}

export function filterOf(tag: number): Filter {
  return { must: [{ kind: 'match-any', path: ['tag'], values: [tag] }], should: [], mustNot: [] };
}

export function shardIdOf(shard: number): ShardId {
  return `00000000-0000-4000-8000-00000000000${shard}` as ShardId;
}

export function descriptorOf(shard: number, indexed = false): ShardDescriptor {
  return {
    shardId: shardIdOf(shard),
    collectionId: `00000000-0000-4000-8000-00000000001${shard}` as CollectionId,
    place: {
      clientId: 'cl_aaaaaaaaaaaaaaaa' as ClientId,
      mode: 'live',
      namespace: 'default',
      collection: `books${shard}`,
      generation: 1,
      ordinal: 0,
    },
    config: {
      vector: { dimension: DIMENSION, distance: 'Euclid' },
      hnsw: { m: 8, efConstruct: 40, engine: 'kernel' },
    },
    payloadIndexes: indexed ? { tag: 'integer' } : {},
  };
}
