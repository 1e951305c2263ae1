/**
 * Changes of points. Each is checked whole, becomes one message a shard that it concerns
 * (`collection-writes.ts`), and is answered after the workers have it on disk: `wait: false` is accepted and waits too, because an acknowledgement that may be
 * lost is not one.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { Slices } from '../../shared/base/slices.ts';
import type { VectorConfig } from '../../shared/domain/collection.ts';
import { parsePayloadPath } from '../../shared/domain/payload-path.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Request } from '../../shared/protocol/messages.ts';
import { hourOf } from '../../shared/protocol/meter.ts';
import { joinVectors } from '../../shared/protocol/named-vectors.ts';
import type { Once } from '../../shared/protocol/once.ts';
import type { PointsSelector } from '../../shared/protocol/schema.ts';
import type { Principal } from '../auth/principal.ts';
import { isByFilter } from '../cluster/replicas/write-round.ts';
import type { Payer, Tally } from '../limits/tally.ts';
import type { CollectionRecord } from '../store/collections.ts';
import type { Owner } from './catalog.ts';
import type { CollectionWrites, Total } from './collection-writes.ts';
import { unitsOf, type Work, writeCost } from './cost.ts';
import { within } from './field-path.ts';
import type { FilterCosts } from './filter-costs.ts';
import { encodePayload, parsePointVectors, parseUpsert, type UpsertInput } from './parse-points.ts';
import { parsePaths, parsePointsSelector } from './parse-selectors.ts';
import type { Pausing } from './pausing/pausing.ts';
import { settled } from './settle-work.ts';
import { onceOfOperation, storedBytes, type Write, withMeter, withOnce } from './write.ts';

export interface WritesDeps {
  pausing: Pick<Pausing, 'use'>;
  collectionWrites: Pick<CollectionWrites, 'send'>;
  work: Work;
  filterCosts: FilterCosts;
  clock: Clock;
}

export interface WriteCall {
  owner: Owner & Payer & Pick<Principal, 'keyId'>;
  collection: string;
  deadline: Deadline;
  /** Of a write that takes effect once. Called when it is checked and about to be sent; throws
   * `conflict`. */
  once?: (() => Promise<Once>) | undefined;
}

export interface SelectorInput {
  points?: unknown;
  filter?: unknown;
}

export interface SetPayloadInput extends SelectorInput {
  payload?: unknown;
  key?: string | null;
}

export interface DeletePayloadInput extends SelectorInput {
  keys?: unknown;
}

export interface UpdateVectorsInput {
  points?: unknown;
}

/** The version that the shard gave, the highest of several; null when there was nothing to do. */
export type WriteVersion = number | null;

/** Checks a change against the collection it is for. Throws `InvalidInput`. */
export type ParseWrite = (config: VectorConfig, slices: Slices) => Write | Promise<Write>;

export class Writes {
  readonly #deps: WritesDeps;

  constructor(deps: WritesDeps) {
    this.#deps = deps;
  }

  async run(call: WriteCall, parse: ParseWrite): Promise<WriteVersion> {
    const record = this.#deps.pausing.use(call.owner, call.collection);
    const write = await parse(record.config.vector, new Slices(this.#deps.clock));
    const [planned] = this.#take(call.owner, record, [write]);
    const once = await claim(call, record);
    return planned === undefined ? null : this.#send(record, planned, call, once);
  }

  /** All are checked before the first is sent; each is then stored whole, in order. */
  async runAll(call: WriteCall, parses: ParseWrite[]): Promise<WriteVersion[]> {
    const record = this.#deps.pausing.use(call.owner, call.collection);
    const slices = new Slices(this.#deps.clock);
    const writes: Write[] = [];
    for (const parse of parses) writes.push(await parse(record.config.vector, slices));
    const versions: WriteVersion[] = [];
    const planned = this.#take(call.owner, record, writes);
    const once = await claim(call, record);
    for (const [index, one] of planned.entries()) {
      const own = once && onceOfOperation(once, index);
      versions.push(await this.#send(record, one, call, own));
    }
    return versions;
  }

  /** Takes what they cost. Throws `rate_limited`. */
  #take(payer: Payer, record: CollectionRecord, writes: readonly Write[]): Planned[] {
    const planned = writes.map((write) => ({ write, expected: this.#expected(record, write) }));
    const costs = planned.map(({ write, expected }) => writeCost(write, record.config) + expected);
    this.#deps.work.spend(payer, unitsOf(costs));
    return planned;
  }

  /** Of a change by filter: what finding its points will probably cost. */
  #expected(record: CollectionRecord, { body }: Write): number {
    if (!('points' in body) || body.points.kind === 'ids') return 0;
    return this.#deps.filterCosts.expected(record, body.points.filter);
  }

  async #send(
    record: CollectionRecord,
    { write: checked, expected }: Planned,
    { owner, deadline }: WriteCall,
    once: Once | undefined,
  ): Promise<WriteVersion> {
    if (checked.empty === true) {
      if (takesAway(checked)) owner.tally.deleted ??= 0;
      return null;
    }
    const meter = { key: owner.keyId, hour: hourOf(this.#deps.clock.now()) };
    const metered = withMeter(checked, meter);
    const write = once === undefined ? metered : withOnce(metered, once);
    const ask = () => this.#deps.collectionWrites.send({ record, write, deadline });
    if (!isByFilter(write.body)) {
      const written = await ask();
      noteWritten(owner.tally, write, written);
      return written.version;
    }
    const settling = { payer: owner, record, expected, filters: 1 };
    const written = await settled(this.#deps, settling, ask, ({ work }) => work ?? NO_WORK);
    noteWritten(owner.tally, write, written);
    return written.version;
  }
}

/**
 * Throws `conflict` also when the key is older than the collection's shards, and they were not told by
 * those before whether its write was done: it must not be done twice.
 */
async function claim(call: WriteCall, record: CollectionRecord): Promise<Once | undefined> {
  const once = await call.once?.();
  if (once === undefined || once.at >= record.keysKnownSince) return once;
  const text =
    'the shard_number of the collection was changed after the Idempotency-Key was first used, so it is ' +
    'not known whether its write was done: look at the points, and take a new key';
  throw new AppError('conflict', text, { field: 'Idempotency-Key' });
}

interface Planned {
  write: Write;
  /** Units that were taken for its filter. */
  expected: number;
}

function noteWritten(tally: Tally, write: Write, { work, changed = 0, repeated }: Total): void {
  if (takesAway(write)) tally.deleted = (tally.deleted ?? 0) + (repeated ? 0 : changed);
  if (repeated) return;
  const { payload, vector } = storedBytes(write, work?.changed ?? 0);
  tally.payloadWritten += payload;
  tally.vectorWritten += vector;
}

/** Whether the write deletes points, or what is in their payloads. */
function takesAway({ name, body }: Write): boolean {
  if (name !== 'payload-update') return name === 'points-delete';
  return body.change.kind === 'clear' || body.change.kind === 'delete-keys';
}

const NO_WORK = { examined: 0, changed: 0 };

export function upsertWrite(input: UpsertInput, path = ''): ParseWrite {
  return async (config, slices) => {
    const { ids, vectors, payloads } = await parseUpsert(input, { config, slices }, path);
    // The numbers of the body take more than the vectors, and the write may wait for its worker.
    input.points = undefined;
    input.batch = undefined;
    const { names, floats } = joinVectors(vectors);
    const body = { ids, names, payloads };
    return { name: 'points-upsert', body, vectors: floats, empty: ids.length === 0 };
  };
}

export function deleteWrite(input: SelectorInput, path = ''): ParseWrite {
  return () => {
    const points = parsePointsSelector(input, path);
    return { name: 'points-delete', body: { points }, empty: namesNone(points) };
  };
}

export function updateVectorsWrite(input: UpdateVectorsInput, path = ''): ParseWrite {
  return async (config, slices) => {
    const at = within(path, 'points');
    const { ids, vectors } = await parsePointVectors(input.points, { config, slices }, at);
    input.points = undefined;
    const { names, floats } = joinVectors(vectors);
    const body = { ids, names };
    return { name: 'vectors-update', body, vectors: floats, empty: ids.length === 0 };
  };
}

export function setPayloadWrite(input: SetPayloadInput, path = ''): ParseWrite {
  return () => {
    const payload = requiredPayload(input.payload, path);
    const key = input.key ?? undefined;
    if (key === undefined) return payloadWrite(input, path, { kind: 'set', payload });
    const at = parsePayloadPath(key, within(path, 'key'));
    return payloadWrite(input, path, { kind: 'set', payload, at });
  };
}

export function overwritePayloadWrite(input: SetPayloadInput, path = ''): ParseWrite {
  return () => {
    if ((input.key ?? null) !== null) {
      throw new InvalidInput(within(path, 'key'), 'only setting a payload takes a key');
    }
    const payload = requiredPayload(input.payload, path);
    return payloadWrite(input, path, { kind: 'overwrite', payload });
  };
}

export function deletePayloadWrite(input: DeletePayloadInput, path = ''): ParseWrite {
  return () => {
    const paths = parsePaths(input.keys, within(path, 'keys'));
    return payloadWrite(input, path, { kind: 'delete-keys', paths });
  };
}

export function clearPayloadWrite(input: SelectorInput, path = ''): ParseWrite {
  return () => payloadWrite(input, path, { kind: 'clear' });
}

/** There is one vector a point and no point without one. */
export function refuseDeleteVectors(path = ''): never {
  const problem = 'a point has exactly one vector, which can not be deleted; delete the point';
  throw new InvalidInput(within(path, 'vector'), problem);
}

function payloadWrite(
  input: SelectorInput,
  path: string,
  change: Request<'payload-update'>['change'],
): Write {
  const points = parsePointsSelector(input, path);
  return { name: 'payload-update', body: { points, change }, empty: namesNone(points) };
}

function namesNone(points: PointsSelector): boolean {
  return points.kind === 'ids' && points.ids.length === 0;
}

function requiredPayload(payload: unknown, path: string): Uint8Array {
  const bytes = encodePayload(payload, within(path, 'payload'));
  if (bytes === null) throw new InvalidInput(within(path, 'payload'), 'must be a JSON object');
  return bytes;
}
