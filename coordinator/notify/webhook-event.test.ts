/** The signature as the documentation tells receivers to check it. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { ClientId, NoticeId, WebhookId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import type { WebhookRecord } from '../store/webhooks.ts';
import { eventText, signedHeaders } from './webhook-event.ts';
import { WebhookSecrets } from './webhook-secrets.ts';

const DOCUMENT = join(import.meta.dirname, '../../docs/data-api.md');
const NOW = 1_700_000_000_000;
const NOTICE = {
  sequence: 1,
  noticeId: 'evt_aaaaaaaaaaaaaaaa' as NoticeId,
  type: 'key.expiring' as const,
  clientId: 'cl_aaaaaaaaaaaaaaaa' as ClientId,
  key: 'k',
  data: { key_id: 'key_a', name: 'ünïcode', expires_at: 'soon' },
  at: NOW,
};

type Verify = (
  secret: string,
  headers: Record<string, string>,
  body: string,
  nowMs: number,
) => { type: string; subject: string; data: object };

test('what the documentation says verifies what is sent, and nothing else', async (t) => {
  const [, code] =
    /<!-- a test runs this -->\n```js\n([\s\S]*?)```/.exec(readFileSync(DOCUMENT, 'utf8')) ?? [];
  const file = join(temporaryFolder(t), 'verify.mjs');
  writeFileSync(file, code ?? '');
  const { verifyWebhook }: { verifyWebhook: Verify } = await import(pathToFileURL(file).href);
  const webhookId = 'wh_aaaaaaaaaaaaaaaa' as WebhookId;
  const secrets = new WebhookSecrets('pepper'.repeat(8), secureRandom);
  const [current, old] = [secrets.create(webhookId), secrets.create(webhookId)];
  const webhook = { webhookId, secret: current.sealed, oldSecret: old.sealed, oldEndsAt: NOW + 1 };
  const signing = secrets.signing(webhook as WebhookRecord, NOW);
  const body = eventText(NOTICE);
  const headers = signedHeaders(NOTICE, body, { secrets: signing, now: NOW });
  for (const { shown } of [current, old]) {
    const event = verifyWebhook(shown, headers, body, NOW);
    assert.deepEqual(
      [event.type, event.subject, event.data],
      [NOTICE.type, NOTICE.clientId, NOTICE.data],
    );
  }
  const refused: [secret: string, headers: Record<string, string>, body: string, now: number][] = [
    [secrets.create(webhookId).shown, headers, body, NOW],
    [current.shown, headers, `${body} `, NOW],
    [current.shown, { ...headers, 'webhook-id': 'evt_b' }, body, NOW],
    [current.shown, { ...headers, 'webhook-timestamp': '1700000001' }, body, NOW],
    [current.shown, { ...headers, 'webhook-timestamp': 'x' }, body, NOW],
    [current.shown, { ...headers, 'webhook-signature': 'v1,' }, body, NOW],
    [current.shown, headers, body, NOW + 301_000],
  ];
  for (const given of refused) assert.throws(() => verifyWebhook(...given), /not signed|older/);
  const later = secrets.signing(webhook as WebhookRecord, NOW + 1);
  assert.equal(later.length, 1, 'the secret before signs until its end');
});

test('a sealed secret opens for its own webhook and its own pepper only', () => {
  const [one, other] = ['wh_aaaaaaaaaaaaaaaa', 'wh_bbbbbbbbbbbbbbbb'] as WebhookId[];
  const secrets = new WebhookSecrets('pepper'.repeat(8), secureRandom);
  const { sealed } = secrets.create(one as WebhookId);
  const webhook = (webhookId: WebhookId | undefined) => {
    return { webhookId, secret: sealed, oldSecret: null, oldEndsAt: null } as WebhookRecord;
  };
  assert.equal(secrets.signing(webhook(one), NOW).length, 1);
  assert.throws(() => secrets.signing(webhook(other), NOW), /sealed with this pepper/);
  const strange = new WebhookSecrets('another'.repeat(8), secureRandom);
  assert.throws(() => strange.signing(webhook(one), NOW), /sealed with this pepper/);
});
