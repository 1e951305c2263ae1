/**
 * Parts of the dialect that are not here. A caller of one hears what there is instead; "nothing is
 * at this path" would leave them looking for a typing error.
 */
import { AppError } from '../../shared/errors/app-error.ts';

const QUERY = 'POST /collections/{collection}/points/query';
const NEAREST = `use ${QUERY} with a point id or a vector as "query"`;
const WITHOUT_GROUPS = `use ${QUERY} and group its hits by their payload`;

/** Of `POST`, the path after `/collections/{collection}/points/` and what to say of it. */
const POINTS: Record<string, string> = {
  recommend: `recommendations are not available; ${NEAREST}`,
  'recommend/batch': `recommendations are not available; ${NEAREST}`,
  'recommend/groups': `recommendations are not available; ${NEAREST}`,
  discover: `discovery is not available; ${NEAREST}`,
  'discover/batch': `discovery is not available; ${NEAREST}`,
  'discover/groups': `discovery is not available; ${NEAREST}`,
  'search/groups': `grouped searches are not available; ${WITHOUT_GROUPS}`,
  'query/groups': `grouped queries are not available; ${WITHOUT_GROUPS}`,
  'search/matrix/pairs': `distance matrices are not available; use ${QUERY} for each point`,
  'search/matrix/offsets': `distance matrices are not available; use ${QUERY} for each point`,
};

const PEERS = 'peers are not managed here: operators drain and add workers';
const SHARDS =
  'shards are placed, copied and moved by the service; use PATCH /collections/{collection} with ' +
  'params.replication_factor for another number of copies';

/** The error for a request that no endpoint takes, when it is one that other servers have. */
export function notSupported(method: string, path: string): AppError | undefined {
  if (path.startsWith('/cluster/')) return new AppError('not_supported', PEERS);
  if (method !== 'POST') return undefined;
  const text = aboutPath(path);
  return text === undefined ? undefined : new AppError('not_supported', text);
}

function aboutPath(path: string): string | undefined {
  if (path === '/collections/aliases') return 'aliases are not available; use collection names';
  const [, name, rest] = /^\/collections\/[^/]+\/(facet$|cluster$|points\/(.*))/.exec(path) ?? [];
  if (name === 'cluster') return SHARDS;
  if (name === 'facet') {
    return 'facets are not available; use POST /collections/{collection}/points/count with a filter';
  }
  if (rest === undefined || !Object.hasOwn(POINTS, rest)) return undefined;
  return POINTS[rest];
}
