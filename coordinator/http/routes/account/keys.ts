/** `/v1/keys`: the keys that the key which asks could stand in for. Secrets are shown once. */
import { LIMITS } from '../../../../shared/domain/limits.ts';
import { viewKey, viewKeyWithSecret } from '../../admin-views.ts';
import { bodylessEndpoint, endpoint } from '../../endpoint.ts';
import { NewKeyBody, parseKeyTerms, RotateBody } from '../../key-terms.ts';
import { pageQuery, parsePageQuery } from '../../page-query.ts';
import { closedObject } from '../../validation.ts';

const needs = 'keys:manage';

export const listOwnKeys = bodylessEndpoint({
  method: 'GET',
  url: '/v1/keys',
  kind: 'read',
  needs,
  query: closedObject(pageQuery),
  run({ account }, { owner, query, out }) {
    const page = account.listKeys(owner, parsePageQuery(query));
    out.value({ keys: page.items.map(viewKey), next: page.next });
  },
});

export const createOwnKey = endpoint({
  method: 'POST',
  url: '/v1/keys',
  kind: 'write',
  needs,
  showsSecret: true,
  bodyBytesMax: LIMITS.adminBodyBytesMax,
  body: NewKeyBody,
  run({ account }, { owner, body, idempotencyKey, out }) {
    const { mode, ...terms } = body;
    const request = { idempotencyKey, method: 'POST', url: '/v1/keys', body };
    const make = () => account.createKey(owner, { mode, ...parseKeyTerms(terms) });
    out.value(account.once(owner, request, () => viewKeyWithSecret(make())));
  },
});

export const showOwnKey = bodylessEndpoint({
  method: 'GET',
  url: '/v1/keys/:id',
  kind: 'read',
  needs,
  run({ account }, { owner, id, out }) {
    out.value(viewKey(account.showKey(owner, id)));
  },
});

export const rotateOwnKey = endpoint({
  method: 'POST',
  url: '/v1/keys/:id/rotate',
  kind: 'write',
  needs,
  showsSecret: true,
  bodyBytesMax: LIMITS.adminBodyBytesMax,
  body: RotateBody,
  run({ account }, { owner, id, body, idempotencyKey, out }) {
    const graceSeconds = body?.grace_seconds ?? undefined;
    const request = { idempotencyKey, method: 'POST', url: `/v1/keys/${id}/rotate`, body };
    const make = () => account.rotateKey(owner, id, graceSeconds);
    out.value(account.once(owner, request, () => viewKeyWithSecret(make())));
  },
});

export const revokeOwnKey = bodylessEndpoint({
  method: 'DELETE',
  url: '/v1/keys/:id',
  kind: 'write',
  needs,
  run({ account }, { owner, id, out }) {
    out.value(viewKey(account.revokeKey(owner, id)));
  },
});
