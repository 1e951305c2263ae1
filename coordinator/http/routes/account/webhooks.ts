/** `/v1/webhooks`: where the client's notices are posted to. Secrets are shown once. */
import { LIMITS } from '../../../../shared/domain/limits.ts';
import { bodylessEndpoint, endpoint } from '../../endpoint.ts';
import {
  NewWebhookBody,
  newestQuery,
  parseNewestQuery,
  ReplayBody,
  WebhookRotateBody,
  WebhookUpdateBody,
} from '../../notify-bodies.ts';
import { viewWebhook, viewWebhookDelivery, viewWebhookWithSecret } from '../../notify-views.ts';
import { pageQuery, parsePageQuery } from '../../page-query.ts';
import { closedObject } from '../../validation.ts';

const needs = 'notices:manage';
const bodyBytesMax = LIMITS.adminBodyBytesMax;

export const listOwnWebhooks = bodylessEndpoint({
  method: 'GET',
  url: '/v1/webhooks',
  kind: 'read',
  needs,
  query: closedObject(pageQuery),
  run({ account, webhooks }, { owner, query, out }) {
    account.checkLive(owner);
    const page = webhooks.list(owner.clientId, parsePageQuery(query));
    out.value({ webhooks: page.items.map(viewWebhook), next: page.next });
  },
});

export const createOwnWebhook = endpoint({
  method: 'POST',
  url: '/v1/webhooks',
  kind: 'write',
  needs,
  showsSecret: true,
  bodyBytesMax,
  body: NewWebhookBody,
  async run({ account, webhooks }, { owner, body, idempotencyKey, out }) {
    const origin = account.beginChange(owner);
    await webhooks.checkUrl(owner.clientId, body.url);
    const request = { idempotencyKey, method: 'POST', url: '/v1/webhooks', body };
    const make = () => viewWebhookWithSecret(webhooks.create(origin, owner.clientId, body));
    out.value(account.once(owner, request, make));
  },
});

export const showOwnWebhook = bodylessEndpoint({
  method: 'GET',
  url: '/v1/webhooks/:id',
  kind: 'read',
  needs,
  run({ account, webhooks }, { owner, id, out }) {
    account.checkLive(owner);
    out.value(viewWebhook(webhooks.show(owner.clientId, id)));
  },
});

export const updateOwnWebhook = endpoint({
  method: 'PATCH',
  url: '/v1/webhooks/:id',
  kind: 'write',
  needs,
  bodyBytesMax,
  body: WebhookUpdateBody,
  async run({ account, webhooks }, { owner, id, body, out }) {
    const origin = account.beginChange(owner);
    await webhooks.checkUrl(owner.clientId, body.url);
    out.value(viewWebhook(webhooks.update(origin, owner.clientId, id, body)));
  },
});

export const rotateOwnWebhook = endpoint({
  method: 'POST',
  url: '/v1/webhooks/:id/rotate',
  kind: 'write',
  needs,
  showsSecret: true,
  bodyBytesMax,
  body: WebhookRotateBody,
  run({ account, webhooks }, { owner, id, body, idempotencyKey, out }) {
    const origin = account.beginChange(owner);
    const request = { idempotencyKey, method: 'POST', url: `/v1/webhooks/${id}/rotate`, body };
    const graceSeconds = body?.grace_seconds ?? undefined;
    const make = () => webhooks.rotate(origin, owner.clientId, id, { graceSeconds });
    out.value(account.once(owner, request, () => viewWebhookWithSecret(make())));
  },
});

export const removeOwnWebhook = bodylessEndpoint({
  method: 'DELETE',
  url: '/v1/webhooks/:id',
  kind: 'write',
  needs,
  run({ account, webhooks }, { owner, id, out }) {
    const origin = account.beginChange(owner);
    out.value(viewWebhook(webhooks.remove(origin, owner.clientId, id)));
  },
});

export const testOwnWebhook = bodylessEndpoint({
  method: 'POST',
  url: '/v1/webhooks/:id/test',
  kind: 'write',
  needs,
  run({ account, webhooks }, { owner, id, out }) {
    const { actor } = account.beginChange(owner);
    out.value({ told: webhooks.test(actor, owner.clientId, id) });
  },
});

export const listOwnDeliveries = bodylessEndpoint({
  method: 'GET',
  url: '/v1/webhooks/:id/deliveries',
  kind: 'read',
  needs,
  query: closedObject(newestQuery),
  run({ account, webhooks }, { owner, id, query, out }) {
    account.checkLive(owner);
    const page = webhooks.deliveries(owner.clientId, id, parseNewestQuery(query));
    out.value({ deliveries: page.items.map(viewWebhookDelivery), next: page.next });
  },
});

export const replayOwnDeliveries = endpoint({
  method: 'POST',
  url: '/v1/webhooks/:id/replay',
  kind: 'write',
  needs,
  bodyBytesMax,
  body: ReplayBody,
  run({ account, webhooks }, { owner, id, body, out }) {
    const origin = account.beginChange(owner);
    const deliveryId = body?.delivery_id ?? null;
    out.value({ replayed: webhooks.replay(origin, owner.clientId, id, deliveryId) });
  },
});
