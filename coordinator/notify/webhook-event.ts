/**
 * What a webhook gets: a CloudEvent (1.0, structured JSON) under Standard Webhooks headers.
 *
 *   POST url
 *   content-type: application/cloudevents+json; charset=utf-8
 *   webhook-id: evt_...                  the same at each try: receivers know by it what they have had
 *   webhook-timestamp: 1700000000        seconds; of this try
 *   webhook-signature: v1,BASE64         HMAC-SHA-256(secret, "ID.TIMESTAMP.BODY"); two with a space in
 *                                        between while the secret before a rotation holds
 */
import { createHmac } from 'node:crypto';
import type { NoticeRecord } from '../store/notices.ts';

export const EVENT_CONTENT_TYPE = 'application/cloudevents+json; charset=utf-8';
const SOURCE = 'urn:bulkhead';
const MS_PER_SECOND = 1_000;

/** The same text at each try. */
export function eventText({ noticeId, type, clientId, data, at }: NoticeRecord): string {
  return JSON.stringify({
    specversion: '1.0',
    id: noticeId,
    source: SOURCE,
    type,
    ...(clientId !== null && { subject: clientId }),
    time: new Date(at).toISOString(),
    datacontenttype: 'application/json',
    data,
  });
}

/** `now` in milliseconds since 1970; the secrets in clear, the current one first. */
export function signedHeaders(
  { noticeId }: Pick<NoticeRecord, 'noticeId'>,
  body: string,
  { secrets, now }: { secrets: readonly Uint8Array[]; now: number },
): Record<string, string> {
  const timestamp = String(Math.floor(now / MS_PER_SECOND));
  const signatures = secrets.map((secret) => {
    const mac = createHmac('sha256', secret).update(`${noticeId}.${timestamp}.${body}`);
    return `v1,${mac.digest('base64')}`;
  });
  return {
    'content-type': EVENT_CONTENT_TYPE,
    'webhook-id': noticeId,
    'webhook-timestamp': timestamp,
    'webhook-signature': signatures.join(' '),
  };
}
