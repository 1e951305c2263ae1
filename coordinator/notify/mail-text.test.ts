import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId, NoticeId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { NOTICES, type Notice, type NoticeType } from '../../shared/domain/notices.ts';
import type { NoticeRecord } from '../store/notices.ts';
import { maskMailAddress, parseMailAddress } from './mail-address.ts';
import { digestOf, mailOf } from './mail-text.ts';

const CLIENT = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const TYPES = Object.keys(NOTICES) as NoticeType[];

function noticeOf(type: NoticeType, data: Notice['data'], sequence = 1): NoticeRecord {
  const ids = { sequence, noticeId: 'evt_aaaaaaaaaaaaaaaa' as NoticeId };
  return { ...ids, type, clientId: CLIENT, key: 'k', data, at: 1_700_000_000_000 };
}

/** A notice whose every field is that value. */
function filled(type: NoticeType, value: string | number | null): NoticeRecord {
  return noticeOf(type, Object.fromEntries(NOTICES[type].fields.map((field) => [field, value])));
}

for (const type of TYPES) {
  test(`${type} renders, whatever its fields hold`, () => {
    const evil = '<img src=x onerror="alert(1)">\r\nBcc: eve@example.com\u2028\u202e';
    for (const value of [
      evil,
      'x'.repeat(LIMITS.noticeTextCharsMax),
      '12345678901234567890',
      5,
      null,
    ]) {
      for (const owner of ['', CLIENT]) {
        const { subject, text, html } = mailOf(filled(type, value), owner);
        assert.match(subject, /^\[Bulkhead\] \P{Cc}+$/u);
        assert.ok(subject.length <= 78, subject);
        for (const part of [subject, text, html])
          assert.doesNotMatch(part, /undefined|NaN|\[object/);
        assert.doesNotMatch(html, /<img/);
        assert.doesNotMatch(text, /^Bcc/m);
        assert.match(text, owner === '' ? /BULKHEAD_MAIL_OPERATORS/ : /PUT \/v1\/notifications/);
        assert.match(html, owner === '' ? /BULKHEAD_MAIL_OPERATORS/ : /PUT \/v1\/notifications/);
      }
    }
  });
}

test('a mail looks like this', () => {
  const data = {
    month: '2026-11',
    percent: 80,
    spent_micros: '20000001',
    budget_micros: 25_000_000,
  };
  const { subject, text } = mailOf(noticeOf('budget.level', data), CLIENT);
  assert.equal(subject, '[Bulkhead] 80 % of the budget for 2026-11 is used');
  assert.equal(
    text,
    `[Bulkhead] 80 % of the budget for 2026-11 is used

what: what a client has used this month has reached a level of its budget
client: cl_aaaaaaaaaaaaaaaa
month: 2026-11
percent: 80
spent: 20.000001
budget: 25.00
time: 2023-11-14T22:13:20.000Z

See what is used with GET /v1/usage.

-- 
You get this because you are a mail recipient of the client cl_aaaaaaaaaaaaaaaa. To change that, send PUT /v1/notifications with an admin key, or ask your operator.
`,
  );
});

test('a digest tells some and counts the rest', () => {
  const count = LIMITS.digestNoticesMax + 7;
  const notices = Array.from({ length: count }, (_, i) => {
    return noticeOf('worker.down', { worker_id: `<b>${i}`, shards: 1 }, i);
  });
  const { subject, text, html } = digestOf(notices, '');
  assert.equal(subject, `[Bulkhead] ${count} notices`);
  assert.match(text, /and 7 more/);
  assert.doesNotMatch(html, /<b>/);
  assert.equal(text.match(/A worker is down/g)?.length, LIMITS.digestNoticesMax);
  const expiring = { key_id: 'key_x', name: 'main', expires_at: 'soon' };
  const ofClient = digestOf([noticeOf('key.expiring', expiring, 1)], '');
  assert.match(ofClient.text, /An API key ends soon: main \(client cl_aaaaaaaaaaaaaaaa\)/);
});

test('mail addresses are addresses and nothing else', () => {
  const good = [
    'a@b.cd',
    "O'Neil+x@Example.COM",
    'a.b@sub.example.co.uk',
    'a@xn--bcher-kva.example',
  ];
  for (const text of good) assert.ok(parseMailAddress(text) !== undefined, text);
  assert.equal(parseMailAddress('Ada@Example.COM'), 'Ada@example.com');
  const bad = [
    ...[
      '',
      'a',
      '@b.cd',
      'a@',
      'a@b',
      'a@@b.cd',
      'a b@c.de',
      'a@b.cd\r\nBcc: x@y.zz',
      'a@b.cd,x@y.zz',
    ],
    ...[
      'a@b.cd\n',
      '"a"@b.cd',
      'a@[127.0.0.1]',
      'a@127.0.0.1',
      'a(x)@b.cd',
      '<a@b.cd>',
      'ä@b.cd',
      'a@bü.de',
    ],
    ...[
      '.a@b.cd',
      'a.@b.cd',
      'a..b@c.de',
      'a@-b.cd',
      'a@b-.cd',
      'a@b..cd',
      `${'a'.repeat(65)}@b.cd`,
    ],
    ...[`a@${'b'.repeat(64)}.cd`, `a@${'b.'.repeat(200)}cd`, 'a@b.cd\0', 'a\t@b.cd'],
  ];
  for (const text of bad) assert.equal(parseMailAddress(text), undefined, JSON.stringify(text));
  assert.equal(maskMailAddress('ada@example.com'), 'a***@example.com');
});
