/** Where copies of shards are made and taken away, with workers that come and go. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '../../../shared/base/assert.ts';
import { ManualClock } from '../../../shared/base/clock.ts';
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../../shared/base/ids.ts';
import { quietLog } from '../../../shared/log/log.ts';
import { type Replica, replicaOf } from '../replicas/replica.ts';
import { Moves } from './moves.ts';
import type { PlannedWorker, WantedShard } from './outlook.ts';

const ACME = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const GRACE_MS = 1_500;
const LOOK_MS = 5_000;

interface Held {
  /** Names of workers; with `?` when it is behind, with `!` when it was not compared yet. */
  copies: string;
  wanted: number;
  collection?: string;
}

interface Terms extends Partial<Pick<PlannedWorker, 'zone' | 'draining' | 'dedicatedTo'>> {
  /** It is not connected. */
  gone?: boolean;
  /** It is connected and does not answer. */
  silent?: boolean;
  cpu?: number;
}

class FakeSet {
  readonly shardId: ShardId;
  readonly held = { points: 10, bytes: 100 };
  replicas: Replica[];
  prove: () => Promise<void> = async () => {
    for (const replica of this.inSync) replica.proved = true;
  };

  constructor(shardId: ShardId, copies: string) {
    this.shardId = shardId;
    this.replicas = copies.split(' ').map((copy) => {
      const workerId = copy.replace(/[?!]$/, '') as WorkerId;
      const state = copy.endsWith('?') ? 'behind' : 'in_sync';
      const replica = replicaOf({ workerId, state, syncedVersion: 0 });
      return Object.assign(replica, { proved: state === 'in_sync' && !copy.endsWith('!') });
    });
  }

  get inSync(): Replica[] {
    return this.replicas.filter(({ state }) => state === 'in_sync');
  }
}

class World {
  readonly clock = new ManualClock();
  readonly terms: Record<string, Terms>;
  readonly sets: FakeSet[];
  readonly shards: WantedShard[];
  readonly moves: Moves;
  /** What was done, in order: `+worker` and `-worker`. */
  readonly done: string[] = [];
  connected: (workerId: WorkerId) => void = () => undefined;

  constructor(terms: Record<string, Terms>, held: Held[]) {
    this.terms = terms;
    this.sets = held.map(({ copies }, i) => new FakeSet(`shard-${i}` as ShardId, copies));
    this.shards = held.map(({ wanted, collection = 'c' }, i) => {
      const place = { clientId: ACME };
      const descriptor = { shardId: `shard-${i}`, collectionId: collection as CollectionId, place };
      return { descriptor, replicationFactor: wanted } as unknown as WantedShard;
    });
    this.moves = new Moves({
      cluster: {
        find: (shardId: ShardId) => this.sets.find((set) => set.shardId === shardId),
        addReplica: (set: FakeSet, workerId: WorkerId) => this.#add(set, workerId),
        removeReplica: (set: FakeSet, replica: Replica) => this.#remove(set, replica),
        onLevelled: () => undefined,
      } as never,
      link: {
        isReady: (workerId: WorkerId) => this.#of(workerId).gone !== true,
        isSilent: (workerId: WorkerId) => this.#of(workerId).silent === true,
        onConnect: (listener: (workerId: WorkerId) => void) => {
          this.connected = listener;
        },
      } as never,
      store: { erasures: () => [], erased: () => undefined },
      shards: () => this.shards,
      workers: () => this.#workers(),
      startGraceMs: GRACE_MS,
      clock: this.clock,
      log: quietLog,
    });
  }

  /** Where copies of that shard are; with `?` when they are behind. */
  copies(shard = 0): string {
    const { replicas } = must(this.sets[shard], 'it is there');
    return replicas
      .map(({ workerId, state }) => (state === 'behind' ? `${workerId}?` : workerId))
      .join(' ');
  }

  countAt(name: string): number {
    const places = this.sets.flatMap(({ replicas }) => replicas.map(({ workerId }) => workerId));
    return places.filter((workerId) => workerId === name).length;
  }

  want(replicationFactor: number): void {
    for (const shard of this.shards) shard.replicationFactor = replicationFactor;
  }

  start(): this {
    this.moves.start();
    this.clock.advance(GRACE_MS);
    return this;
  }

  look(): void {
    this.clock.advance(LOOK_MS);
  }

  /** Copies that can be levelled are, and it is looked again, until nothing is done any more. */
  settle(): void {
    for (let looks = 0; looks < 60; looks += 1) {
      const before = this.done.length;
      for (const set of this.sets) this.#level(set);
      this.look();
      if (this.done.length === before) return;
    }
    assert.fail(`it does not come to rest: ${this.done.slice(-12).join(' ')}`);
  }

  #of(workerId: WorkerId): Terms {
    return must(this.terms[workerId], 'it is known');
  }

  #workers(): PlannedWorker[] {
    return Object.entries(this.terms).map(([name, terms]) => {
      const { zone = null, dedicatedTo = null, draining = false, gone = false, cpu = 0 } = terms;
      const replicas = this.countAt(name);
      const load = { replicas, points: 10 * replicas, bytes: 100 * replicas, cpu };
      const usable = !gone && !draining;
      return { workerId: name as WorkerId, zone, dedicatedTo, draining, usable, load };
    });
  }

  #isReached({ workerId }: Replica): boolean {
    return this.#of(workerId).gone !== true;
  }

  #level(set: FakeSet): void {
    if (!set.inSync.some((replica) => this.#isReached(replica))) return;
    for (const replica of set.replicas.filter((one) => this.#isReached(one))) {
      Object.assign(replica, { state: 'in_sync', proved: true });
    }
  }

  #add(set: FakeSet, workerId: WorkerId): void {
    const replica = replicaOf({ workerId, state: 'behind', syncedVersion: 0 });
    set.replicas = [...set.replicas, replica];
    this.done.push(`+${workerId}`);
  }

  #remove(set: FakeSet, replica: Replica): void {
    set.replicas = set.replicas.filter((one) => one !== replica);
    assert.ok(set.inSync.length > 0, 'a shard keeps a replica in sync');
    this.done.push(`-${replica.workerId}`);
  }
}

test('a copy at a worker that is gone is taken away rather than the one that answers', () => {
  for (const copies of ['w1 w2!', 'w2! w1', 'w1 w2?']) {
    const world = new World({ w1: {}, w2: { gone: true } }, [{ copies, wanted: 1 }]).start();
    assert.equal(world.copies(), 'w1', copies);
  }
  const busy = { w1: { cpu: 9 }, w2: {}, w3: { gone: true } };
  const three = new World(busy, [{ copies: 'w1 w2 w3!', wanted: 2 }]).start();
  assert.equal(three.copies(), 'w1 w2');
});

test('nothing is taken away while that leaves too few that answer', () => {
  const draining = { w1: { draining: true }, w2: { gone: true } };
  const one = new World(draining, [{ copies: 'w1 w2!', wanted: 1 }]).start();
  assert.equal(one.copies(), 'w1 w2', 'the draining worker has the only one that answers');
  const gone = { w1: {}, w2: { gone: true }, w3: { gone: true } };
  const two = new World(gone, [{ copies: 'w1 w2! w3!', wanted: 2 }]).start();
  assert.equal(two.copies(), 'w1 w2 w3');
  const none = new World(gone, [{ copies: 'w2! w3!', wanted: 1 }]).start();
  assert.equal(none.copies(), 'w2 w3');
  const zero = new World({ w1: {} }, [{ copies: 'w1', wanted: 0 }]).start();
  assert.equal(zero.copies(), 'w1');
});

test('nothing is taken away for a copy at a worker that hangs, until it is gone', () => {
  const terms: Record<string, Terms> = { w1: { silent: true }, w2: { cpu: 9 } };
  const world = new World(terms, [{ copies: 'w1 w2', wanted: 1 }]).start();
  assert.equal(world.copies(), 'w1 w2');
  terms.w1 = { gone: true };
  world.look();
  assert.equal(world.copies(), 'w2');
  // It may be busy with what it is sent.
  const busy = { w1: {}, w2: {}, w3: { silent: true } };
  const copied = new World(busy, [{ copies: 'w1 w2 w3?', wanted: 2 }]).start();
  assert.equal(copied.copies(), 'w1 w2 w3?');
});

test('copies that were not compared are compared before one is taken away', async () => {
  const world = new World({ w1: {}, w2: {} }, [{ copies: 'w1! w2!', wanted: 1 }]);
  const [set] = world.sets;
  const prove = must(set, 'it is there').prove;
  let asked = 0;
  must(set, 'it is there').prove = async () => {
    asked += 1;
    if (asked === 1) throw new Error('not now');
    await prove();
  };
  world.start();
  assert.deepEqual([world.copies(), asked], ['w1 w2', 1]);
  await new Promise(setImmediate);
  world.look();
  assert.deepEqual([world.copies(), asked], ['w1 w2', 2]);
  await new Promise(setImmediate);
  world.clock.advance(0);
  assert.deepEqual([world.sets[0]?.replicas.length, asked], [1, 2]);
});

test('nothing is planned before workers had the time to dial in', () => {
  const world = new World({ w1: {}, w2: {} }, [{ copies: 'w1', wanted: 2 }]);
  world.moves.start();
  world.connected('w1' as WorkerId);
  world.moves.soon();
  world.clock.advance(GRACE_MS - 1);
  assert.deepEqual(world.done, []);
  world.clock.advance(1);
  assert.deepEqual(world.done, ['+w2']);
});

test('copies of a worker that is gone hold nothing up', () => {
  const held = (wanted: number) => [
    ...Array.from({ length: 3 }, () => ({ copies: 'w1 w9?', wanted: 2 })),
    { copies: 'w1', wanted },
  ];
  const missing = new World({ w1: {}, w2: {}, w9: { gone: true } }, held(2)).start();
  assert.equal(missing.copies(3), 'w1 w2?');
  const uneven = [...held(1), { copies: 'w1', wanted: 1 }];
  const balanced = new World({ w1: {}, w2: {}, w9: { gone: true } }, uneven).start();
  assert.equal(balanced.copies(3), 'w1 w2?');
});

test('a copy that can not be made because its source is gone holds nothing up, and is not begun', () => {
  const held = [
    ...Array.from({ length: 3 }, () => ({ copies: 'w9 w1?', wanted: 2 })),
    { copies: 'w9', wanted: 2 },
    { copies: 'w1', wanted: 2 },
  ];
  const world = new World({ w1: {}, w2: {}, w9: { gone: true } }, held).start();
  assert.deepEqual([world.copies(3), world.copies(4)], ['w9', 'w1 w2?']);
});

test('no more than two copies are made at once', () => {
  const held = Array.from({ length: 5 }, () => ({ copies: 'w1', wanted: 2 }));
  const world = new World({ w1: {}, w2: {} }, held).start();
  world.look();
  assert.deepEqual(world.done, ['+w2', '+w2']);
  world.settle();
  assert.equal(world.countAt('w2'), 5);
});

test('what is taken away and added in one look counts for the next choice', () => {
  const workers = { w1: {}, w2: {}, w3: {} };
  const held = Array.from({ length: 8 }, () => ({ copies: 'w1 w2 w3', wanted: 3 }));
  const world = new World(workers, held).start();
  world.want(1);
  world.settle();
  const counts = Object.keys(workers).map((name) => world.countAt(name));
  assert.deepEqual(counts.toSorted(), [2, 3, 3], counts.join());
  assert.equal(world.done.filter((step) => step.startsWith('+')).length, 0, 'nothing is moved');

  const spread = new World(workers, [
    { copies: 'w1', wanted: 2 },
    { copies: 'w1', wanted: 2 },
  ]).start();
  assert.deepEqual(spread.done.toSorted(), ['+w2', '+w3']);
});

test('the copy that is taken away is the one that is missed least', () => {
  const others = (name: string, count: number, collection: string) =>
    Array.from({ length: count }, () => ({ copies: name, wanted: 1, collection }));
  const leftOf = (terms: Record<string, Terms>, copies: string, more: Held[] = []) => {
    return new World(terms, [{ copies, wanted: 2 }, ...more]).start().copies();
  };
  const unfit = { w1: { draining: true }, w2: {}, w3: {}, w4: { gone: true } };
  assert.equal(leftOf(unfit, 'w4! w1 w2 w3'), 'w4 w2 w3', 'one that should not be there');
  const zones = { w1: { zone: 'b' }, w2: { zone: 'a' }, w3: { zone: 'a' } };
  const inZones = leftOf(zones, 'w1 w2 w3', [...others('w1', 2, 'c'), ...others('w3', 1, 'c')]);
  assert.equal(inZones, 'w1 w2', 'one of a zone that has another');
  const same = { w1: { zone: 'a' }, w2: { zone: 'a' }, w3: { zone: 'a' } };
  const collections = [...others('w2', 2, 'c'), ...others('w3', 3, 'other')];
  assert.equal(leftOf(same, 'w1 w2 w3', collections), 'w1 w3', 'where most of its collection is');
  const busy = [...others('w1', 1, 'other'), ...others('w3', 2, 'other')];
  assert.equal(leftOf(same, 'w1 w2 w3', busy), 'w1 w2', 'at the busiest');
});

test('copies in the same zone are set apart when there is another zone, and it ends then', () => {
  const terms = { a1: { zone: 'a' }, a2: { zone: 'a' }, b1: { zone: 'b' } };
  const held = Array.from({ length: 4 }, () => ({ copies: 'a1 a2', wanted: 2 }));
  const world = new World(terms, held).start();
  assert.deepEqual(world.done, ['+b1', '+b1'], 'two at a time');
  world.settle();
  assert.deepEqual([world.countAt('b1'), world.countAt('a1'), world.countAt('a2')], [4, 2, 2]);
  assert.equal(world.done.length, 8, world.done.join(' '));
});

test('no copy is made for the sake of zones that makes them no more', () => {
  const still = (terms: Record<string, Terms>, copies: string) => {
    const world = new World(terms, [{ copies, wanted: copies.split(' ').length }]).start();
    world.look();
    assert.deepEqual(world.done, [], copies);
  };
  const zone = (name: string) => ({ zone: name });
  still({ a1: zone('a'), a2: zone('a'), a3: zone('a') }, 'a1 a2');
  still({ a1: zone('a'), a2: zone('a'), n1: {} }, 'a1 a2');
  still({ a1: zone('a'), b1: zone('b'), c1: zone('c') }, 'a1 b1');
  still({ a1: zone('a'), a2: zone('a'), b1: zone('b'), b2: zone('b') }, 'a1 a2 b1');
  still({ a1: zone('a'), a2: zone('a'), b1: { zone: 'b', gone: true } }, 'a1 a2');
  still({ a1: zone('a'), a2: zone('a'), b1: { zone: 'b', draining: true } }, 'a1 a2');
  still({ a1: zone('a'), a2: { zone: 'a', gone: true }, b1: zone('b') }, 'a1 a2!');
  const own = { a1: { zone: 'a', dedicatedTo: ACME }, a2: { zone: 'a', dedicatedTo: ACME } };
  still({ ...own, b1: zone('b') }, 'a1 a2');
});

test('a busy worker is relieved, but not by copies that would be taken away again', () => {
  const idle = { w1: {}, w2: {} };
  const eight = Array.from({ length: 8 }, () => ({ copies: 'w1', wanted: 1 }));
  const world = new World(idle, eight).start();
  world.settle();
  assert.ok(world.countAt('w2') >= 3, world.done.join(' '));

  // All shards have to be in both zones, so the only worker of one of them stays the busiest.
  const terms = { a1: { zone: 'a' }, a2: { zone: 'a' }, b1: { zone: 'b' } };
  const held = Array.from({ length: 8 }, () => ({ copies: 'a1 b1', wanted: 2 }));
  const zones = new World(terms, held).start();
  zones.settle();
  assert.equal(zones.countAt('b1'), 8);
  assert.ok(zones.countAt('a2') >= 3, zones.done.join(' '));
});
