import Type from 'typebox';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { Collection, pageSchema } from '../../admin-schemas.ts';
import { viewCollection } from '../../admin-views.ts';
import { Limit, parseLimit } from '../../page-query.ts';
import { closedObject, formedText } from '../../validation.ts';

const CollectionId = formedText('^[0-9a-f-]{36}$', 'must be the id that "next" gave');

export const COLLECTION_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'listCollections',
    help: 'list the collections of a client, when each was used last, and which are paused',
    method: 'GET',
    url: '/admin/v1/clients/:client/collections',
    query: closedObject({ limit: Limit, after: CollectionId }),
    reply: pageSchema('collections', Collection),
    run({ collections }, { params, query: { after, limit } }) {
      const page = collections.list(params.client, { after, limit: parseLimit(limit) });
      return { collections: page.items.map(viewCollection), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'pauseCollection',
    help: 'refuse the requests of a collection and move its data to the cold disks',
    method: 'POST',
    url: '/admin/v1/clients/:client/collections/:collection/pause',
    body: closedObject({ reason: Type.String() }),
    reply: Collection,
    run({ collections }, { origin, params, body }) {
      return viewCollection(collections.pause(origin, params, body));
    },
  }),
  adminEndpoint({
    name: 'wakeCollection',
    help: 'serve a paused collection again; its first request brings the data back',
    method: 'POST',
    url: '/admin/v1/clients/:client/collections/:collection/wake',
    reply: Collection,
    run({ collections }, { origin, params }) {
      return viewCollection(collections.wake(origin, params));
    },
  }),
];
