/** What the admin API answers of notices and webhooks, checked once here; rows keep the API's own field names. */
import { list, number, numberOrNull, object, text, textOrNull } from './reply-fields.ts';

/** What has become of a notice at one target. */
export interface FateRow {
  delivery_id: number;
  state: string;
  attempts: number;
  next_at: string | null;
  last_at: string | null;
  status: number | null;
  problem: string | null;
}

export interface NoticeRow {
  sequence: number;
  event_id: string;
  type: string;
  client_id: string | null;
  data: Readonly<Record<string, unknown>>;
  at: string;
  deliveries: (FateRow & { kind: string; to: string; target: string })[];
}

export interface WebhookRow {
  webhook_id: string;
  client_id: string | null;
  url: string;
  /** Null: all. */
  types: string[] | null;
  enabled: boolean;
  disabled_reason: string | null;
  old_secret_ends_at: string | null;
  failing_since: string | null;
  version: number;
  created_at: string;
}

/** `secret` is shown this once. */
export interface WebhookWithSecret extends WebhookRow {
  secret: string;
}

export type DeliveryRow = FateRow & { event_id: string; type: string };

export interface RecipientRow {
  address: string;
  types: string[] | null;
}

export interface NumberedPage<T> {
  items: T[];
  next: number | null;
}

function typesOf(fields: Record<string, unknown>): string[] | null {
  return fields.types === null ? null : list(fields, 'types').map(String);
}

function fateOf(fields: Record<string, unknown>): FateRow {
  return {
    delivery_id: number(fields, 'delivery_id'),
    state: text(fields, 'state'),
    attempts: number(fields, 'attempts'),
    next_at: textOrNull(fields, 'next_at'),
    last_at: textOrNull(fields, 'last_at'),
    status: numberOrNull(fields, 'status'),
    problem: textOrNull(fields, 'problem'),
  };
}

export function parseNotices(value: unknown): NumberedPage<NoticeRow> {
  const fields = object(value);
  const items = list(fields, 'notices').map((item): NoticeRow => {
    const notice = object(item);
    return {
      sequence: number(notice, 'sequence'),
      event_id: text(notice, 'event_id'),
      type: text(notice, 'type'),
      client_id: textOrNull(notice, 'client_id'),
      data: object(notice.data),
      at: text(notice, 'at'),
      deliveries: list(notice, 'deliveries').map((each) => {
        const delivery = object(each);
        const [kind, to] = [text(delivery, 'kind'), text(delivery, 'to')];
        return { kind, to, target: text(delivery, 'target'), ...fateOf(delivery) };
      }),
    };
  });
  return { items, next: numberOrNull(fields, 'next') };
}

export function parseWebhook(value: unknown): WebhookRow {
  const fields = object(value);
  return {
    webhook_id: text(fields, 'webhook_id'),
    client_id: textOrNull(fields, 'client_id'),
    url: text(fields, 'url'),
    types: typesOf(fields),
    enabled: fields.enabled === true,
    disabled_reason: textOrNull(fields, 'disabled_reason'),
    old_secret_ends_at: textOrNull(fields, 'old_secret_ends_at'),
    failing_since: textOrNull(fields, 'failing_since'),
    version: number(fields, 'version'),
    created_at: text(fields, 'created_at'),
  };
}

export function parseWebhookWithSecret(value: unknown): WebhookWithSecret {
  return { ...parseWebhook(value), secret: text(object(value), 'secret') };
}

export function parseDeliveries(value: unknown): NumberedPage<DeliveryRow> {
  const fields = object(value);
  const items = list(fields, 'deliveries').map((item): DeliveryRow => {
    const delivery = object(item);
    const event = { event_id: text(delivery, 'event_id'), type: text(delivery, 'type') };
    return { ...event, ...fateOf(delivery) };
  });
  return { items, next: numberOrNull(fields, 'next') };
}

export function parseRecipients(value: unknown): RecipientRow[] {
  return list(object(value), 'mail').map((item) => {
    const recipient = object(item);
    return { address: text(recipient, 'address'), types: typesOf(recipient) };
  });
}

export function parseTold(value: unknown): boolean {
  return object(value).told === true;
}

export function parseReplayed(value: unknown): number {
  return number(object(value), 'replayed');
}
