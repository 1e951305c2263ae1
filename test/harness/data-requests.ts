/** A good request for each endpoint of the data API, about a collection of 4 dimensions. */
import type { Endpoint } from '../../coordinator/http/endpoint.ts';

export const SMALL_COLLECTION = { vectors: { size: 4, distance: 'Cosine' } } as const;

export interface DataRequest {
  method: Endpoint['method'];
  path: string;
  /** Undefined where the endpoint takes none. */
  body: unknown;
}

const VECTOR = [1, 0, 0, 0];
const POINT = { id: 1, vector: VECTOR, payload: { a: 'x' } };
const IN = '/collections/:collection';

const BODIES: Readonly<Record<string, unknown>> = {
  [`PUT ${IN}`]: SMALL_COLLECTION,
  [`PATCH ${IN}`]: {},
  [`PUT ${IN}/index`]: { field_name: 'a', field_schema: 'keyword' },
  [`PUT ${IN}/points`]: { points: [POINT] },
  [`POST ${IN}/points`]: { ids: [1] },
  [`POST ${IN}/points/query`]: { query: VECTOR },
  [`POST ${IN}/points/query/batch`]: { searches: [{ query: VECTOR }] },
  [`POST ${IN}/points/search`]: { vector: VECTOR, limit: 1 },
  [`POST ${IN}/points/search/batch`]: { searches: [{ vector: VECTOR, limit: 1 }] },
  [`POST ${IN}/points/scroll`]: {},
  [`POST ${IN}/points/count`]: {},
  [`POST ${IN}/points/delete`]: { points: [2] },
  [`POST ${IN}/points/payload`]: { payload: { a: 'y' }, points: [1] },
  [`PUT ${IN}/points/payload`]: { payload: { a: 'z' }, points: [1] },
  [`POST ${IN}/points/payload/delete`]: { keys: ['b'], points: [1] },
  [`POST ${IN}/points/payload/clear`]: { points: [1] },
  [`PUT ${IN}/points/vectors`]: { points: [{ id: 1, vector: VECTOR }] },
  [`POST ${IN}/points/vectors/delete`]: { points: [1], vector: [''] },
  'PUT /v1/budget': { amount_micros: '1000000' },
  'POST /v1/keys': { mode: 'test', role: 'reader' },
  'POST /v1/keys/:id/rotate': {},
  'PUT /v1/notifications': { mail: [{ address: 'a@example.com', types: ['key.expiring'] }] },
  'POST /v1/webhooks': { url: 'https://1.1.1.1/hook' },
  'PATCH /v1/webhooks/:id': { enabled: false },
  'POST /v1/webhooks/:id/rotate': {},
  'POST /v1/webhooks/:id/replay': {},
  [`POST ${IN}/points/batch`]: { operations: [{ delete: { points: [2] } }] },
};

export function requestOf({ method, url }: Endpoint, collection: string): DataRequest {
  const path = url
    .replace(':collection', collection)
    .replace(':id', '1')
    .replace(':field_name', 'a');
  return { method, path, body: BODIES[`${method} ${url}`] };
}
