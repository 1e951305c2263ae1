import Type from 'typebox';
import type { ClientId, WorkerId } from '../../../../shared/base/ids.ts';
import { REPLICA_STATES } from '../../../store/replicas.ts';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { Comparison, pageSchema, Replica } from '../../admin-schemas.ts';
import { viewComparison, viewReplica } from '../../admin-views.ts';
import { Limit, parseLimit } from '../../page-query.ts';
import { closedObject, formedText } from '../../validation.ts';

export const REPLICA_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'listReplicas',
    help: 'list where every copy of every shard is, and how far it is',
    method: 'GET',
    url: '/admin/v1/replicas',
    query: closedObject({
      limit: Limit,
      after: formedText('^[0-9a-f-]{36}[.]wk_[a-z2-7]{16}$', 'must be what "next" gave'),
      worker: formedText('^wk_[a-z2-7]{16}$', 'must be the id of a worker'),
      client: formedText('^cl_[a-z2-7]{16}$', 'must be the id of a client'),
      state: Type.Optional(Type.Enum([...REPLICA_STATES])),
    }),
    reply: pageSchema('replicas', Replica),
    run({ replicas }, { query: { limit, after, worker, client, state } }) {
      const workerId = worker as WorkerId | undefined;
      const clientId = client as ClientId | undefined;
      const page = replicas.list({ workerId, clientId, state, after, limit: parseLimit(limit) });
      return { replicas: page.items.map(viewReplica), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'compareReplicas',
    help: 'compare the copies of all shards, or of those of a client, and mend what differs',
    method: 'POST',
    url: '/admin/v1/replicas/compare',
    body: closedObject({ client_id: Type.Optional(Type.String()) }),
    reply: Comparison,
    run({ replicas }, { origin, body }) {
      return viewComparison(replicas.compare(origin, body.client_id));
    },
  }),
  adminEndpoint({
    name: 'getComparison',
    help: 'show how far the comparison of copies is, and what it has found',
    method: 'GET',
    url: '/admin/v1/replicas/compare',
    reply: Comparison,
    run: ({ replicas }) => viewComparison(replicas.comparison()),
  }),
];
