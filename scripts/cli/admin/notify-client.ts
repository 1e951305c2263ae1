/** Notices, webhooks and mail recipients in the admin API, as the command line uses them. */

import { parsePage } from './admin-replies.ts';
import type { Calls, Reply } from './calls.ts';
import {
  type DeliveryRow,
  type NoticeRow,
  type NumberedPage,
  parseDeliveries,
  parseNotices,
  parseRecipients,
  parseReplayed,
  parseTold,
  parseWebhook,
  parseWebhookWithSecret,
  type RecipientRow,
  type WebhookRow,
  type WebhookWithSecret,
} from './notice-replies.ts';

const CLIENTS = '/admin/v1/clients';
const NOTICES = '/admin/v1/notices';
const WEBHOOKS = '/admin/v1/webhooks';
/** Rows of one answer. */
const PAGE = 1_000;

export class NotifyClient {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** What was told, the newest first, up to `count`. */
  notices(
    query: { type?: string | undefined; client?: string | undefined },
    count: number,
  ): Promise<NoticeRow[]> {
    return this.#listNewest(NOTICES, parseNotices, count, query);
  }

  /** False when one was asked for in the same minute. */
  async testMail(): Promise<boolean> {
    return parseTold(await this.#calls.call('POST', `${NOTICES}/test`));
  }

  async recipients(clientId: string): Promise<RecipientRow[]> {
    return parseRecipients(await this.#calls.call('GET', recipientsPath(clientId)));
  }

  /** Each of these gets all; nobody else gets mail. */
  async setRecipients(clientId: string, addresses: readonly string[]): Promise<RecipientRow[]> {
    const mail = addresses.map((address) => ({ address }));
    return parseRecipients(await this.#calls.call('PUT', recipientsPath(clientId), { mail }));
  }

  /** The operators', or those of a client. */
  listWebhooks(clientId?: string): Promise<WebhookRow[]> {
    const path =
      clientId === undefined ? WEBHOOKS : `${CLIENTS}/${encodeURIComponent(clientId)}/webhooks`;
    return this.#calls.listAll(path, (reply) => parsePage(reply, 'webhooks', parseWebhook));
  }

  async createWebhook(webhook: {
    url: string;
    types?: string[] | null;
  }): Promise<WebhookWithSecret> {
    return parseWebhookWithSecret(await this.#calls.call('POST', WEBHOOKS, webhook));
  }

  async updateWebhook(webhookId: string, change: object): Promise<WebhookRow> {
    return parseWebhook(await this.#calls.call('PATCH', webhookPath(webhookId), change));
  }

  /** The secret before signs, too, for so many seconds, a number that the service chooses if it is absent. */
  async rotateWebhook(webhookId: string, graceSeconds?: number): Promise<WebhookWithSecret> {
    const body = graceSeconds === undefined ? {} : { grace_seconds: graceSeconds };
    const path = `${webhookPath(webhookId)}/rotate`;
    return parseWebhookWithSecret(await this.#calls.call('POST', path, body));
  }

  async removeWebhook(webhookId: string): Promise<WebhookRow> {
    return parseWebhook(await this.#calls.call('DELETE', webhookPath(webhookId)));
  }

  /** False when one was asked for in the same minute. */
  async testWebhook(webhookId: string): Promise<boolean> {
    return parseTold(await this.#calls.call('POST', `${webhookPath(webhookId)}/test`));
  }

  /** What was or is to be posted to it, the newest first, up to `count`. */
  listDeliveries(webhookId: string, count: number): Promise<DeliveryRow[]> {
    return this.#listNewest(`${webhookPath(webhookId)}/deliveries`, parseDeliveries, count);
  }

  /** Dead ones are tried again, all or that one; how many. */
  async replayDeliveries(webhookId: string, deliveryId?: number): Promise<number> {
    const body = deliveryId === undefined ? {} : { delivery_id: deliveryId };
    return parseReplayed(await this.#calls.call('POST', `${webhookPath(webhookId)}/replay`, body));
  }

  async #listNewest<T>(
    path: string,
    parse: (reply: Reply) => NumberedPage<T>,
    count: number,
    wanted: Readonly<Record<string, string | undefined>> = {},
  ): Promise<T[]> {
    const all: T[] = [];
    const given = Object.entries(wanted).flatMap(([name, value]) => {
      return value === undefined ? [] : [[name, value] as const];
    });
    let before: number | null = null;
    do {
      const query = new URLSearchParams(Object.fromEntries(given));
      query.set('limit', String(Math.min(PAGE, count - all.length)));
      if (before !== null) query.set('before', String(before));
      const page: NumberedPage<T> = parse(await this.#calls.call('GET', `${path}?${query}`));
      all.push(...page.items);
      before = page.next;
    } while (before !== null && all.length < count);
    return all;
  }
}

function webhookPath(webhookId: string): string {
  return `${WEBHOOKS}/${encodeURIComponent(webhookId)}`;
}

function recipientsPath(clientId: string): string {
  return `${CLIENTS}/${encodeURIComponent(clientId)}/notifications`;
}
