import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { Key, KeyWithSecret, pageSchema } from '../../admin-schemas.ts';
import { viewKey, viewKeyWithSecret } from '../../admin-views.ts';
import { KeyUpdateBody, NewKeyBody, parseKeyTerms, RotateBody } from '../../key-terms.ts';
import { pageQuery, parsePageQuery } from '../../page-query.ts';
import { closedObject } from '../../validation.ts';

const KEYS = '/admin/v1/clients/:client/keys';
const KEY = '/admin/v1/clients/:client/keys/:key';

export const KEY_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'createKey',
    help: 'create a key, shown this once',
    method: 'POST',
    url: KEYS,
    status: 201,
    creates: true,
    body: NewKeyBody,
    reply: KeyWithSecret,
    run({ keys }, { origin, params, body: { mode, ...terms } }) {
      const key = { clientId: params.client, mode, ...parseKeyTerms(terms) };
      return viewKeyWithSecret(keys.create(origin, key));
    },
  }),
  adminEndpoint({
    name: 'listKeys',
    help: 'list the keys of a client by id, revoked ones too',
    method: 'GET',
    url: KEYS,
    query: closedObject(pageQuery),
    reply: pageSchema('keys', Key),
    run({ keys }, { params, query }) {
      const page = keys.list({ clientId: params.client, ...parsePageQuery(query) });
      return { keys: page.items.map(viewKey), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'showKey',
    help: 'show a key, never its secret',
    method: 'GET',
    url: KEY,
    reply: Key,
    run: ({ keys }, { params }) => viewKey(keys.show(targetOf(params))),
  }),
  adminEndpoint({
    name: 'updateKey',
    help: 'rename a key, change what it may do, extend it, or end its older secret sooner or later',
    method: 'PATCH',
    url: KEY,
    body: KeyUpdateBody,
    reply: Key,
    run({ keys }, { origin, params, ifVersion, body: { grace_seconds: graceSeconds, ...terms } }) {
      const update = { ...parseKeyTerms(terms), graceSeconds, ifVersion };
      return viewKey(keys.update(origin, targetOf(params), update));
    },
  }),
  adminEndpoint({
    name: 'rotateKey',
    help: 'give a key another secret, shown this once; the one before holds for the grace',
    method: 'POST',
    url: `${KEY}/rotate`,
    creates: true,
    body: RotateBody,
    reply: KeyWithSecret,
    run({ keys }, { origin, params, ifVersion, body }) {
      const options = { graceSeconds: body?.grace_seconds ?? undefined, ifVersion };
      return viewKeyWithSecret(keys.rotate(origin, targetOf(params), options));
    },
  }),
  adminEndpoint({
    name: 'revokeKey',
    help: 'revoke a key, at once and for good; repeatable',
    method: 'DELETE',
    url: KEY,
    reply: Key,
    run({ keys }, { origin, params, ifVersion }) {
      return viewKey(keys.revoke(origin, targetOf(params), { ifVersion }));
    },
  }),
];

function targetOf({ client, key }: { client: string; key: string }) {
  return { clientId: client, keyId: key };
}
