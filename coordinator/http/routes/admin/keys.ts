import Type from 'typebox';
import { InvalidInput } from '../../../../shared/base/invalid.ts';
import { parseDatetime } from '../../../../shared/domain/datetime.ts';
import { ROLES } from '../../../../shared/domain/permissions.ts';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { Key, KeyWithSecret, pageSchema } from '../../admin-schemas.ts';
import { viewKey } from '../../admin-views.ts';
import { closedObject, nullable } from '../../validation.ts';
import { pageQuery, parsePageQuery } from './page-query.ts';

export const KEY_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'createKey',
    help: 'create a key, shown this once',
    method: 'POST',
    url: '/admin/v1/clients/:client/keys',
    status: 201,
    body: closedObject({
      mode: Type.Enum(['live', 'test']),
      name: nullable(Type.String()),
      role: nullable(Type.Enum([...ROLES])),
      expires_at: nullable(Type.String()),
    }),
    reply: KeyWithSecret,
    run({ keys }, { origin, params, body: { mode, name, role, expires_at } }) {
      const { record, secret } = keys.create(origin, {
        clientId: params.client,
        mode,
        name: name ?? 'unnamed',
        role: role ?? undefined,
        expiresAt: parseExpiry(expires_at),
      });
      return { ...viewKey(record), key: secret };
    },
  }),
  adminEndpoint({
    name: 'listKeys',
    help: 'list the keys of a client by id, revoked ones too',
    method: 'GET',
    url: '/admin/v1/clients/:client/keys',
    query: closedObject(pageQuery),
    reply: pageSchema('keys', Key),
    run({ keys }, { params, query }) {
      const page = keys.list({ clientId: params.client, ...parsePageQuery(query) });
      return { keys: page.items.map(viewKey), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'revokeKey',
    help: 'revoke a key, at once and for good; repeatable',
    method: 'DELETE',
    url: '/admin/v1/clients/:client/keys/:key',
    reply: Key,
    run({ keys }, { origin, params }) {
      return viewKey(keys.revoke(origin, { clientId: params.client, keyId: params.key }));
    },
  }),
];

function parseExpiry(text: string | null | undefined): number | undefined {
  if (text === null || text === undefined) return undefined;
  const micros = parseDatetime(text);
  if (micros === undefined) {
    throw new InvalidInput('expires_at', 'must be a date and time like 2030-01-31T00:00:00Z');
  }
  return Math.floor(micros / 1_000);
}
