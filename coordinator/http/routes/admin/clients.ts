import Type from 'typebox';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { Client, ClientTerms, pageSchema, Usage } from '../../admin-schemas.ts';
import { viewClient, viewUsage } from '../../admin-views.ts';
import { pageQuery, parsePageQuery } from '../../page-query.ts';
import { parseUsageQuery, usageQuery } from '../../usage-query.ts';
import { closedObject, formedText, nullable } from '../../validation.ts';

const GraceSeconds = formedText('^[0-9]{1,9}$', 'must be a whole number of seconds');

export const CLIENT_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'createClient',
    help: 'create a client',
    method: 'POST',
    url: '/admin/v1/clients',
    status: 201,
    creates: true,
    body: closedObject({ name: Type.String(), plan: nullable(Type.String()) }),
    reply: Client,
    run({ clients }, { origin, body: { name, plan } }) {
      return viewClient(clients.create(origin, { name, planId: plan ?? undefined }));
    },
  }),
  adminEndpoint({
    name: 'listClients',
    help: 'list clients by id',
    method: 'GET',
    url: '/admin/v1/clients',
    query: closedObject({ ...pageQuery, name: Type.Optional(Type.String()) }),
    reply: pageSchema('clients', Client),
    run({ clients }, { query }) {
      const page = clients.list({ ...parsePageQuery(query), name: query.name });
      return { clients: page.items.map(viewClient), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'showClient',
    help: 'show a client',
    method: 'GET',
    url: '/admin/v1/clients/:client',
    reply: Client,
    run: ({ clients }, { params }) => viewClient(clients.show(params.client)),
  }),
  adminEndpoint({
    name: 'showUsage',
    help: 'show what a client has used, by hour, day or month (UTC)',
    method: 'GET',
    url: '/admin/v1/clients/:client/usage',
    query: closedObject({ ...usageQuery, mode: Type.Optional(Type.Enum(['live', 'test'])) }),
    reply: Usage,
    async run({ clients, usage }, { params, query: { mode = 'live', ...query } }) {
      const { clientId } = clients.show(params.client);
      const span = parseUsageQuery(query);
      return viewUsage(await usage.report({ clientId, mode, namespaces: null, ...span }));
    },
  }),
  adminEndpoint({
    name: 'updateClient',
    help: 'rename a client, put it on a plan, replace its overrides',
    method: 'PATCH',
    url: '/admin/v1/clients/:client',
    body: closedObject({
      name: Type.Optional(Type.String()),
      plan: Type.Optional(Type.String()),
      overrides: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
    }),
    bodyDescription: ClientTerms,
    reply: Client,
    run({ clients }, { origin, params, ifVersion, body: { name, plan, overrides } }) {
      const update = { name, planId: plan, overrides, ifVersion };
      return viewClient(clients.update(origin, params.client, update));
    },
  }),
  adminEndpoint({
    name: 'suspendClient',
    help: 'refuse all keys of a client at once; its data stays',
    method: 'POST',
    url: '/admin/v1/clients/:client/suspend',
    body: closedObject({ reason: Type.String() }),
    reply: Client,
    run({ clients }, { origin, params, ifVersion, body }) {
      return viewClient(clients.suspend(origin, params.client, { ...body, ifVersion }));
    },
  }),
  adminEndpoint({
    name: 'pauseClient',
    help: 'refuse writes of a client, or all requests for its data, which then goes to the cold disks',
    method: 'POST',
    url: '/admin/v1/clients/:client/pause',
    body: closedObject({
      reason: Type.String(),
      scope: Type.Optional(Type.Enum(['writes', 'all'])),
    }),
    reply: Client,
    run({ clients }, { origin, params, ifVersion, body: { reason, scope = 'all' } }) {
      return viewClient(clients.pause(origin, params.client, { reason, scope, ifVersion }));
    },
  }),
  adminEndpoint({
    name: 'deleteClient',
    help: 'refuse all keys of a client at once, and erase all it has after the grace',
    method: 'DELETE',
    url: '/admin/v1/clients/:client',
    query: closedObject({ grace_seconds: GraceSeconds }),
    reply: Client,
    run({ clients }, { origin, params, ifVersion, query }) {
      const { grace_seconds: grace } = query;
      const graceSeconds = grace === undefined ? undefined : Number(grace);
      return viewClient(clients.delete(origin, params.client, { graceSeconds, ifVersion }));
    },
  }),
  adminEndpoint({
    name: 'resumeClient',
    help: 'accept the keys of a client again; also of one that is being deleted',
    method: 'POST',
    url: '/admin/v1/clients/:client/resume',
    reply: Client,
    run({ clients }, { origin, params, ifVersion }) {
      return viewClient(clients.resume(origin, params.client, { ifVersion }));
    },
  }),
];
