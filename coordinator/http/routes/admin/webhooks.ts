/** The operators' own webhooks; of a client's they see that they are there. */
import Type from 'typebox';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { pageSchema } from '../../admin-schemas.ts';
import {
  NewWebhookBody,
  newestQuery,
  parseNewestQuery,
  ReplayBody,
  WebhookRotateBody,
  WebhookUpdateBody,
} from '../../notify-bodies.ts';
import {
  Replayed,
  Told,
  Webhook,
  WebhookDelivery,
  WebhookWithSecret,
} from '../../notify-schemas.ts';
import { viewWebhook, viewWebhookDelivery, viewWebhookWithSecret } from '../../notify-views.ts';
import { pageQuery, parsePageQuery } from '../../page-query.ts';
import { closedObject } from '../../validation.ts';

const WEBHOOKS = '/admin/v1/webhooks';
const WEBHOOK = '/admin/v1/webhooks/:webhook';
const OPERATORS = null;

const reads: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'listWebhooks',
    help: "list the operators' webhooks",
    method: 'GET',
    url: WEBHOOKS,
    query: closedObject(pageQuery),
    reply: pageSchema('webhooks', Webhook),
    run({ webhooks }, { query }) {
      const page = webhooks.list(OPERATORS, parsePageQuery(query));
      return { webhooks: page.items.map(viewWebhook), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'listClientWebhooks',
    help: 'list the webhooks of a client',
    method: 'GET',
    url: '/admin/v1/clients/:client/webhooks',
    query: closedObject(pageQuery),
    reply: pageSchema('webhooks', Webhook),
    run({ webhooks, clients }, { params, query }) {
      const { clientId } = clients.show(params.client);
      const page = webhooks.list(clientId, parsePageQuery(query));
      return { webhooks: page.items.map(viewWebhook), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'showWebhook',
    help: 'show a webhook, never its secret',
    method: 'GET',
    url: WEBHOOK,
    reply: Webhook,
    run: ({ webhooks }, { params }) => viewWebhook(webhooks.show(OPERATORS, params.webhook)),
  }),
  adminEndpoint({
    name: 'listDeliveries',
    help: 'list what was or is to be posted to a webhook, the newest first',
    method: 'GET',
    url: `${WEBHOOK}/deliveries`,
    query: closedObject(newestQuery),
    reply: pageSchema('deliveries', WebhookDelivery, Type.Integer()),
    run({ webhooks }, { params, query }) {
      const page = webhooks.deliveries(OPERATORS, params.webhook, parseNewestQuery(query));
      return { deliveries: page.items.map(viewWebhookDelivery), next: page.next };
    },
  }),
];

const changes: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'createWebhook',
    help: 'make a webhook for operators; its secret is shown this once',
    method: 'POST',
    url: WEBHOOKS,
    status: 201,
    creates: true,
    body: NewWebhookBody,
    reply: WebhookWithSecret,
    check: ({ webhooks }, { body }) => webhooks.checkUrl(OPERATORS, body.url),
    run({ webhooks }, { origin, body }) {
      return viewWebhookWithSecret(webhooks.create(origin, OPERATORS, body));
    },
  }),
  adminEndpoint({
    name: 'updateWebhook',
    help: 'change where a webhook posts to and what it hears of, disable or enable it',
    method: 'PATCH',
    url: WEBHOOK,
    body: WebhookUpdateBody,
    reply: Webhook,
    check: ({ webhooks }, { body }) => webhooks.checkUrl(OPERATORS, body.url),
    run({ webhooks }, { origin, params, ifVersion, body }) {
      const update = { ...body, ifVersion };
      return viewWebhook(webhooks.update(origin, OPERATORS, params.webhook, update));
    },
  }),
  adminEndpoint({
    name: 'rotateWebhook',
    help: 'give a webhook another secret, shown this once; the one before signs, too, for the grace',
    method: 'POST',
    url: `${WEBHOOK}/rotate`,
    creates: true,
    body: WebhookRotateBody,
    reply: WebhookWithSecret,
    run({ webhooks }, { origin, params, ifVersion, body }) {
      const options = { graceSeconds: body?.grace_seconds ?? undefined, ifVersion };
      return viewWebhookWithSecret(webhooks.rotate(origin, OPERATORS, params.webhook, options));
    },
  }),
  adminEndpoint({
    name: 'removeWebhook',
    help: 'remove a webhook; what waits for it is dropped',
    method: 'DELETE',
    url: WEBHOOK,
    reply: Webhook,
    run({ webhooks }, { origin, params, ifVersion }) {
      return viewWebhook(webhooks.remove(origin, OPERATORS, params.webhook, { ifVersion }));
    },
  }),
  adminEndpoint({
    name: 'testWebhook',
    help: 'post a test to a webhook, once a minute at most',
    method: 'POST',
    url: `${WEBHOOK}/test`,
    reply: Told,
    run({ webhooks }, { origin, params }) {
      return { told: webhooks.test(origin.actor, OPERATORS, params.webhook) };
    },
  }),
  adminEndpoint({
    name: 'replayDeliveries',
    help: 'try dead deliveries of a webhook again: one, or all',
    method: 'POST',
    url: `${WEBHOOK}/replay`,
    body: ReplayBody,
    reply: Replayed,
    run({ webhooks }, { origin, params, body }) {
      const deliveryId = body?.delivery_id ?? null;
      return { replayed: webhooks.replay(origin, OPERATORS, params.webhook, deliveryId) };
    },
  }),
];

export const WEBHOOK_ENDPOINTS: readonly AdminEndpoint[] = [...reads, ...changes];
