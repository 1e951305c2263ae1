/** What both APIs show of notices, webhooks and mail recipients; never a secret but in the reply that made it. */
import type { NoticeView } from '../control-plane/notices.ts';
import type { WebhookWithSecret } from '../control-plane/webhooks.ts';
import { maskMailAddress } from '../notify/mail-address.ts';
import type { MailRecipient } from '../store/mail-recipients.ts';
import type { DeliveryRecord, DueDelivery } from '../store/notice-deliveries.ts';
import type { WebhookRecord } from '../store/webhooks.ts';

export function viewWebhook(webhook: WebhookRecord) {
  return {
    webhook_id: webhook.webhookId,
    client_id: webhook.clientId,
    url: webhook.url,
    types: webhook.types,
    enabled: webhook.disabled === null,
    disabled_reason: webhook.disabled,
    old_secret_ends_at: timeOrNull(webhook.oldEndsAt),
    failing_since: timeOrNull(webhook.failingSince),
    version: webhook.version,
    created_at: formatTime(webhook.createdAt),
  };
}

export function viewWebhookWithSecret({ record, secret }: WebhookWithSecret) {
  return { ...viewWebhook(record), secret };
}

/** One of a webhook. */
export function viewWebhookDelivery(delivery: DueDelivery) {
  const { notice } = delivery;
  return { event_id: notice.noticeId, type: notice.type, ...viewFate(delivery) };
}

export function viewNotice(notice: NoticeView) {
  return {
    sequence: notice.sequence,
    event_id: notice.noticeId,
    type: notice.type,
    client_id: notice.clientId,
    data: notice.data,
    at: formatTime(notice.at),
    deliveries: notice.deliveries.map((delivery) => ({
      kind: delivery.kind,
      to: delivery.owner === '' ? 'operators' : delivery.owner,
      target: delivery.kind === 'mail' ? maskMailAddress(delivery.target) : delivery.target,
      ...viewFate(delivery),
    })),
  };
}

function viewFate(delivery: DeliveryRecord) {
  return {
    delivery_id: delivery.deliveryId,
    state: delivery.state,
    attempts: delivery.attempts,
    next_at: delivery.state === 'waiting' ? formatTime(delivery.nextAt) : null,
    last_at: timeOrNull(delivery.lastAt),
    status: delivery.code,
    problem: delivery.problem,
  };
}

export function viewRecipients(found: { hasMail: boolean; recipients: MailRecipient[] }) {
  return {
    mail_enabled: found.hasMail,
    mail: found.recipients.map(({ address, types }) => ({ address, types })),
  };
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString();
}

function timeOrNull(ms: number | null): string | null {
  return ms === null ? null : formatTime(ms);
}
