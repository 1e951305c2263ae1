import Type from 'typebox';
import { LIMITS } from '../../../../shared/domain/limits.ts';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { Census, CensusKey, ClientCensus, pageSchema } from '../../admin-schemas.ts';
import { viewCensus, viewClientCensus } from '../../admin-views.ts';
import { Limit, parseLimit } from '../../page-query.ts';
import { closedObject, formedText } from '../../validation.ts';

const NAME = '^[0-9]{4}-[0-9]{2}-[0-9]{2}([.][0-9]{2})?$';
const name = (form: string) => formedText(NAME, form);

export const CENSUS_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'listCensuses',
    help: 'list censuses that were taken, the newest first',
    method: 'GET',
    url: '/admin/v1/censuses',
    query: closedObject({ limit: Limit, after: name('must be what "next" gave') }),
    reply: pageSchema('censuses', Census),
    async run({ census }, { query: { limit, after } }) {
      const page = await census.list({ before: after, limit: parseLimit(limit) });
      return { censuses: page.items.map(viewCensus), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'takeCensus',
    help: 'take a census now, beside that of the day; it is under way when this is answered',
    method: 'POST',
    url: '/admin/v1/censuses',
    status: 201,
    creates: true,
    reply: Census,
    run: ({ census }, { origin }) => viewCensus(census.take(origin)),
  }),
  adminEndpoint({
    name: 'showCensusKey',
    help: 'show the key that verifies archives of censuses',
    method: 'GET',
    url: '/admin/v1/censuses/key',
    reply: CensusKey,
    run: ({ census }) => ({ public_key: census.publicKey }),
  }),
  adminEndpoint({
    name: 'showCensus',
    help: 'show what a census came to, of a day or one on demand',
    method: 'GET',
    url: '/admin/v1/censuses/:census',
    reply: Census,
    run: async ({ census }, { params }) => viewCensus(await census.show(params.census)),
  }),
  adminEndpoint({
    name: 'getCensusArchive',
    help: 'send the archive of a census, sealed: compressed lines of JSON (zstd)',
    method: 'GET',
    url: '/admin/v1/censuses/:census/archive',
    reply: Type.String({ format: 'binary' }),
    fileType: 'application/zstd',
    run: ({ census }, { params }) => census.archive(params.census),
  }),
  adminEndpoint({
    name: 'showClientCensus',
    help: 'show what a census found of a client, the last one of a day unless another is named',
    method: 'GET',
    url: '/admin/v1/clients/:client/census',
    query: closedObject({
      day: name('must be the name of a census, for example 2026-11-27'),
      limit: Limit,
      after: formedText('^[0-9]{1,9}$', 'must be the number that "next" gave'),
    }),
    reply: ClientCensus,
    async run({ census, clients }, { params, query: { day, limit, after } }) {
      const { clientId } = clients.show(params.client);
      const most = Math.min(parseLimit(limit), LIMITS.censusPageMax);
      const page = { after: Number(after ?? 0), limit: most };
      return viewClientCensus(await census.ofClient(clientId, { census: day, ...page }));
    },
  }),
];
