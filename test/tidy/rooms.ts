/**
 * The rooms of the house and who may touch what. Imports go to a lower rank only, or stay in
 * their room: never up, never sideways between rooms of one rank. When a room needs something
 * from beside or above, it states the need as an interface in its own file, and `compose.ts`
 * passes the thing in.
 *
 *   rank   coordinator                               worker
 *    14    main, compose, config                     main, compose, config
 *    13    http                                      server
 *    12    data-plane  control-plane                 shard
 *    11    auth  limits  cluster  routing  billing  audit  census   points  index  filter  image
 *    10    store  ledger  worker-link
 *   ------------------------------ shared ------------------------------
 *     2    config  log  protocol
 *     1    domain  errors  crypto
 *     0    base
 */

/** A folder to its rank. Files that stand directly in `coordinator/` are the room of that name. */
const RANKS: Readonly<Record<string, number>> = {
  test: 16,
  scripts: 15,
  coordinator: 14,
  'coordinator/http': 13,
  'coordinator/data-plane': 12,
  'coordinator/control-plane': 12,
  'coordinator/auth': 11,
  'coordinator/audit': 11,
  'coordinator/billing': 11,
  'coordinator/census': 11,
  'coordinator/cluster': 11,
  'coordinator/limits': 11,
  'coordinator/routing': 11,
  'coordinator/ledger': 10,
  'coordinator/store': 10,
  'coordinator/worker-link': 10,
  worker: 14,
  'worker/server': 13,
  'worker/shard': 12,
  'worker/points': 11,
  'worker/index': 11,
  'worker/filter': 11,
  'worker/image': 11,
  'shared/config': 2,
  'shared/log': 2,
  'shared/protocol': 2,
  'shared/domain': 1,
  'shared/errors': 1,
  'shared/crypto': 1,
  'shared/base': 0,
};

/** Each outside package and the only places that may import it. Tests are free to. */
export const PACKAGE_OWNERS: Readonly<Record<string, readonly string[]>> = {
  'better-sqlite3': ['coordinator/ledger/', 'coordinator/store/', 'worker/points/'],
  assemblyscript: ['scripts/kernel/'],
  canonicalize: ['shared/crypto/'],
  commander: ['scripts/'],
  'cli-progress': ['scripts/'],
  fastify: ['coordinator/http/'],
  'hnswlib-node': ['worker/index/hnswlib/hnswlib-index.ts'],
  'lru-cache': ['coordinator/auth/', 'worker/points/'],
  msgpackr: ['shared/protocol/'],
  pino: ['shared/log/'],
  typebox: ['shared/protocol/', 'coordinator/http/'],
  undici: ['scripts/'],
  ws: ['coordinator/worker-link/', 'worker/server/'],
  'xxhash-wasm': ['coordinator/auth/'],
  '@qdrant/js-client-rest': ['scripts/'],
  '@langchain/core': [],
  '@langchain/qdrant': [],
  ajv: [],
};

export interface Room {
  name: string;
  rank: number;
}

/** The room that a file stands in; absent when the table does not know it. */
export function roomOf(path: string): Room | undefined {
  const [top = '', second = '', ...rest] = path.split('/');
  const single = top === 'scripts' || top === 'test' || rest.length === 0;
  const name = single ? top : `${top}/${second}`;
  const rank = RANKS[name];
  return rank === undefined ? undefined : { name, rank };
}

/** Why a file of `from` may not import one of `to`; absent when it may. */
export function importProblem(from: Room, to: Room): string | undefined {
  if (from.name === to.name) return undefined;
  const [fromTop, toTop] = [from.name.split('/')[0], to.name.split('/')[0]];
  const programs = new Set(['coordinator', 'worker']);
  if (fromTop !== toTop && programs.has(fromTop ?? '') && programs.has(toTop ?? '')) {
    return `${fromTop} imports ${toTop}: the two programs meet only in shared/`;
  }
  if (to.rank < from.rank) return undefined;
  const direction = to.rank === from.rank ? 'sideways' : 'up';
  return `${from.name} (rank ${from.rank}) imports ${direction} from ${to.name} (rank ${to.rank})`;
}
