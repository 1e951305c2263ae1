/**
 * What this worker does for each message. The frame names the shard; everything else is in the
 * body. A handler adds nothing but the way from message to shard.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { MessageName, Reply, WithVectors } from '../../shared/protocol/messages.ts';
import { splitVectors } from '../../shared/protocol/named-vectors.ts';
import { isDamage, toAppError } from '../points/storage-errors.ts';
import { readChanges, readRange } from '../shard/feed.ts';
import { digestRange } from '../shard/range.ts';
import type { ShardRegistry } from '../shard/registry.ts';
import { Slices } from '../shard/slices.ts';
import type { Handlers } from './dispatch.ts';

const NO_VECTORS = new Float32Array(0);

function plain<T>(body: T): { body: T; vectors: Float32Array } {
  return { body, vectors: NO_VECTORS };
}

export function createHandlers(
  registry: ShardRegistry,
  clock: Clock,
  ownStatus: () => Promise<Reply<'worker-status'>>,
): Handlers {
  return guarded(registry, {
    'shard-create': async (_shardId, { descriptor }) => {
      await registry.create(descriptor);
      return plain({});
    },
    'shard-drop': async (shardId, { place }) => {
      await registry.drop(shardId, place);
      return plain({});
    },
    'shard-configure': async (_shardId, { descriptor }) => {
      return plain({ version: await registry.configure(descriptor) });
    },
    'shard-status': async (shardId) => plain(await registry.status(shardId)),
    'shard-freeze': async (shardId) => {
      await registry.freeze(shardId);
      return plain({});
    },
    'worker-status': async () => plain(await ownStatus()),
    'shard-usage': async (shardId) => plain(await registry.usage(shardId)),
    'shard-census': async (shardId) => plain(await registry.census(shardId)),
    'shard-verify': async (shardId) => {
      await registry.verify(shardId);
      return plain({});
    },
    'shard-release': async (shardId) => plain({ released: await registry.release(shardId) }),
    'points-upsert': async (shardId, { names, ...points }, floats) => {
      checkBatch(points.ids.length);
      const shard = await registry.shard(shardId);
      return plain(await shard.upsert(points, splitVectors(names, floats)));
    },
    'points-delete': async (shardId, body, _vectors, deadline) => {
      const shard = await registry.shard(shardId);
      return plain(await shard.delete(body, deadline));
    },
    'vectors-update': async (shardId, { names, ...points }, floats) => {
      checkBatch(points.ids.length);
      const shard = await registry.shard(shardId);
      return plain(await shard.updateVectors(points, splitVectors(names, floats)));
    },
    'payload-update': async (shardId, body, _vectors, deadline) => {
      const shard = await registry.shard(shardId);
      return plain(await shard.updatePayload(body, deadline));
    },
    'points-query': async (shardId, body, vectors, deadline) => {
      const { reads } = await registry.shard(shardId);
      return reads.query(body, vectors, deadline);
    },
    'points-retrieve': async (shardId, body, _vectors, deadline) => {
      const { reads } = await registry.shard(shardId);
      return reads.retrieve(body, deadline);
    },
    'points-scroll': async (shardId, body, _vectors, deadline) => {
      const { reads } = await registry.shard(shardId);
      return reads.scroll(body, deadline);
    },
    'points-count': async (shardId, { filter, exact }, _vectors, deadline) => {
      const { reads } = await registry.shard(shardId);
      return plain(await reads.count(filter, exact, deadline));
    },
    ...createFeedHandlers(registry, clock),
  });
}

/** Messages that a shard on the cold disk answers, or that bring it back themselves where they must. */
const LEAVE_COLD: ReadonlySet<MessageName> = new Set([
  'shard-create',
  'shard-drop',
  'shard-freeze',
  'shard-release',
  'shard-status',
  'shard-usage',
  'shard-census',
  'shard-verify',
  'meter-read',
  'worker-status',
]);

/** The same handler, called when the shard's rows are here. Those of one shard are called in their order. */
function warmed(registry: ShardRegistry, name: MessageName, handler: AnyHandler): AnyHandler {
  if (LEAVE_COLD.has(name)) return handler;
  return (shardId, ...rest) => {
    const [, , deadline] = rest as unknown as [unknown, unknown, Deadline];
    const warming = registry.warming(shardId, deadline);
    return warming === undefined
      ? handler(shardId, ...rest)
      : warming.then(() => handler(shardId, ...rest));
  };
}

/**
 * The same handlers, with what a disk does to them in the words of the error table. Damage that one
 * meets is noted: from then on the shard is not served.
 */
function guarded(registry: ShardRegistry, handlers: Handlers): Handlers {
  const guard = (handler: AnyHandler): AnyHandler => {
    return (shardId, body, vectors, deadline) => {
      const failed = (error: unknown): never => {
        if (isDamage(error)) registry.noteDamage(shardId, error, deadline.origin);
        throw toAppError(error);
      };
      try {
        const answer = handler(shardId, body, vectors, deadline);
        return answer instanceof Promise ? answer.catch(failed) : answer;
      } catch (error) {
        return failed(error);
      }
    };
  };
  const entries = Object.entries(handlers) as [MessageName, AnyHandler][];
  return Object.fromEntries(
    entries.map(([name, one]) => [name, guard(warmed(registry, name, one))]),
  ) as unknown as Handlers;
}

type AnyHandler = (
  shardId: ShardId,
  body: never,
  vectors: Float32Array,
  deadline: Deadline,
) => Answer | Promise<Answer>;
type Answer = WithVectors<Reply<MessageName>>;

/** Of replicas that are levelled with each other. What only reads leaves a closed shard closed. */
function createFeedHandlers(registry: ShardRegistry, clock: Clock) {
  return {
    'meter-read': async (shardId, body, _vectors, deadline) => {
      return plain(await registry.metered(shardId, body, deadline));
    },
    'changes-read': (shardId, body) => readChanges(body, registry.rows(shardId)()),
    'changes-apply': async (shardId, body, vectors) => {
      const shard = await registry.shard(shardId);
      return plain(await shard.levelling.applyChanges(body, vectors));
    },
    'shard-undo': async (shardId, body) => {
      const shard = await registry.shard(shardId);
      return plain(await shard.undo.undo(body));
    },
    // Rows that are damaged are another digest: that is how a replica is found that has some.
    'range-digest': async (shardId, body, _vectors, deadline) => {
      const slices = new Slices(clock, deadline);
      return plain(await digestRange(body, registry.uncheckedRows(shardId), slices));
    },
    'range-read': (shardId, body) => readRange(body, registry.rows(shardId)()),
    'range-apply': async (shardId, body, vectors) => {
      const shard = await registry.shardToMend(shardId);
      const written = await shard.levelling.applyRange(body, vectors);
      // What is counted anew is the end of a repair.
      if (body.recount) await registry.mended(shardId);
      return plain(written);
    },
  } satisfies Partial<Handlers>;
}

/** The coordinator holds callers to the same bound; a frame that exceeds it is not from there. */
function checkBatch(count: number): void {
  if (count > LIMITS.batchPointsMax) {
    throw new AppError('invalid_argument', `a batch has at most ${LIMITS.batchPointsMax} points`);
  }
}
