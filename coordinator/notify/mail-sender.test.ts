/** The outbox against a real mail server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { SeededRandom, secureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { headerOf, type MailServer, startMailServer } from '../../test/harness/mail-server.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { TEST_CERTIFICATE } from '../../test/harness/test-certificate.ts';
import { ControlStore } from '../store/control-store.ts';
import type { DeliveryState } from '../store/notice-deliveries.ts';
import { MailSender } from './mail-sender.ts';
import { Notifier } from './notifier.ts';
import { SmtpSession, type SmtpSettings } from './smtp-session.ts';

const CLIENT = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const OPS = { kind: 'mail', owner: '', target: 'ops@example.com' } as const;
const HOUR_MS = 3_600_000;
const SILENCE_MS = 500;

interface Rig {
  clock: ManualClock;
  store: ControlStore;
  notifier: Notifier;
  sender: MailSender;
  saw: ReturnType<typeof recordingLog>['saw'];
  lines: ReturnType<typeof recordingLog>['lines'];
  /** Tells operators of a worker. */
  tell(key: string): void;
  states(): string[];
  /** Waits until the deliveries are in these states. */
  until(...states: DeliveryState[]): Promise<void>;
}

function startRig(t: TestContext, settings: Partial<SmtpSettings>, operators: string[]): Rig {
  const clock = new ManualClock();
  const store = ControlStore.open(join(temporaryFolder(t), 'control.db'), { clock });
  cleanUp(t, () => store.close());
  store.clients.create({ clientId: CLIENT, name: 'acme' });
  const { log, saw, lines } = recordingLog();
  const notifier = new Notifier({ store, random: secureRandom, log, mail: { operators } });
  const whole: SmtpSettings = {
    ...{ host: '127.0.0.1', port: 1, tls: 'none', user: '', password: '', timeoutMs: SILENCE_MS },
    ...settings,
  };
  const open = (signal: AbortSignal) => SmtpSession.open(whole, signal);
  const random = new SeededRandom(1);
  const from = 'bulkhead@example.com';
  const sender = new MailSender({ store, open, from, clock, random, log });
  cleanUp(t, () => sender.close());
  const tell = (key: string) => {
    const data = { worker_id: `wk_${key}`, shards: 1 };
    notifier.tell({ type: 'worker.down', clientId: null, key, data });
  };
  const states = () => {
    const sequences = store.notices.page(undefined, 1_000).map(({ sequence }) => sequence);
    return store.noticeDeliveries.of(sequences).map(({ state }) => state);
  };
  const until = async (...wanted: DeliveryState[]) => {
    for (let waited = 0; waited < 5_000; waited += 10) {
      if (states().join() === wanted.join()) return;
      await sleep(10);
    }
    assert.deepEqual(states(), wanted);
  };
  return { clock, store, notifier, sender, saw, lines, tell, states, until };
}

async function untilFailed({ saw }: Rig): Promise<void> {
  for (let waited = 0; saw('mail_server_failed').length === 0 && waited < 5_000; waited += 10) {
    await sleep(10);
  }
}

function subjects({ taken }: MailServer): (string | undefined)[] {
  return taken.map((mail) => headerOf(mail, 'subject'));
}

test('a notice is mailed once to each recipient, over TLS, and its address is in no log line', async (t) => {
  const server = await startMailServer(t, 'tls');
  const secrets = { user: 'user', password: 'password', ca: TEST_CERTIFICATE };
  const rig = startRig(t, { port: server.port, tls: 'implicit', ...secrets }, ['ops@example.com']);
  const types = ['key.expiring' as const];
  const recipients = [
    { address: 'ada@example.com', types },
    { address: 'bob@example.com', types: null },
  ];
  rig.store.mailRecipients.replace(CLIENT, recipients);
  rig.tell('1');
  rig.tell('1');
  const data = { key_id: 'key_x', name: 'main\r\nBcc: eve@example.com', expires_at: 'soon' };
  const notice = { type: 'key.expiring', clientId: CLIENT, key: 'k', data } as const;
  assert.deepEqual([rig.notifier.tell(notice), rig.notifier.tell(notice)], [true, false]);
  rig.sender.start();
  await rig.until('delivered', 'delivered', 'delivered');
  const to = server.taken.map((mail) => mail.to).toSorted();
  assert.deepEqual(to, ['ada@example.com', 'bob@example.com', 'ops@example.com']);
  assert.ok(server.taken.every(({ secure, user }) => secure && user === 'user'));
  const ids = new Set(server.taken.map((mail) => headerOf(mail, 'message-id')));
  assert.equal(ids.size, 3);
  for (const mail of server.taken) {
    assert.equal(headerOf(mail, 'bcc'), undefined, 'no header comes from data');
    assert.equal(headerOf(mail, 'auto-submitted'), 'auto-generated');
    assert.match(mail.text, /multipart\/alternative/);
  }
  assert.doesNotMatch(JSON.stringify(rig.lines), /@example\.com/);
});

test('STARTTLS is used, and nothing is sent without it or to a server that is not trusted', async (t) => {
  const upgrading = await startMailServer(t, 'starttls');
  const starttls = { tls: 'starttls', ca: TEST_CERTIFICATE } as const;
  const good = startRig(t, { port: upgrading.port, ...starttls }, ['o@a.bc']);
  good.tell('1');
  good.sender.start();
  await good.until('delivered');
  assert.equal(upgrading.taken[0]?.secure, true);
  const server = await startMailServer(t, 'plain');
  const rig = startRig(t, { port: server.port, ...starttls }, ['o@a.bc']);
  rig.tell('1');
  rig.sender.start();
  await untilFailed(rig);
  const secure = await startMailServer(t, 'tls');
  const strange = startRig(t, { port: secure.port, tls: 'implicit', host: 'localhost' }, [
    'o@a.bc',
  ]);
  strange.tell('1');
  strange.sender.start();
  await untilFailed(strange);
  assert.deepEqual([...rig.states(), ...strange.states()], ['waiting', 'waiting']);
  assert.deepEqual([server.taken, secure.taken], [[], []]);
});

test('what a server refuses for now is sent later, for good never, and nothing twice', async (t) => {
  const server = await startMailServer(t, 'plain');
  const treatments = ['refused', 'greylisted', 'full', 'cut', 'vanishing', 'silent', 'fine'];
  const operators = treatments.map((treatment) => `${treatment}@example.com`);
  const rig = startRig(t, { port: server.port }, operators);
  rig.tell('1');
  rig.sender.start();
  const after = ['bounced', 'waiting', 'waiting', 'waiting', 'unknown', 'unknown', 'delivered'];
  await rig.until(...(after as DeliveryState[]));
  const taken = ['fine@example.com', 'silent@example.com', 'vanishing@example.com'];
  assert.deepEqual(server.taken.map(({ to }) => to).toSorted(), taken);
  assert.equal(rig.saw('mail_unknown').length, 2);
  rig.clock.advance(HOUR_MS);
  const later = ['bounced', 'delivered', 'waiting', 'waiting', 'unknown', 'unknown', 'delivered'];
  await rig.until(...(later as DeliveryState[]));
  rig.clock.advance(HOUR_MS);
  await rig.until(...(later as DeliveryState[]));
  const all = server.taken.map(({ to }) => to).toSorted();
  assert.deepEqual(all, ['fine@example.com', 'greylisted@example.com', ...taken.slice(1)]);
});

test('more than an address may get is folded into one mail', async (t) => {
  const server = await startMailServer(t, 'plain');
  const rig = startRig(t, { port: server.port }, ['ops@example.com']);
  const max = LIMITS.mailsPerAddressHourMax;
  for (let i = 0; i < max; i += 1) rig.tell(String(i));
  rig.sender.start();
  await rig.until(...Array.from({ length: max }, () => 'delivered' as const));
  for (let i = max; i < 3 * max; i += 1) rig.tell(String(i));
  rig.sender.soon();
  await sleep(50);
  assert.equal(server.taken.length, max, 'what is more waits');
  rig.clock.advance(HOUR_MS + 1);
  await rig.until(...Array.from({ length: 3 * max }, () => 'delivered' as const));
  assert.equal(server.taken.length, max + 1);
  assert.equal(subjects(server).at(-1), `[Bulkhead] ${2 * max} notices`);
  assert.match(server.taken.at(-1)?.text ?? '', /wk_29/);
});

test('a client that names an address of operators takes nothing of what they get', async (t) => {
  const server = await startMailServer(t, 'plain');
  const rig = startRig(t, { port: server.port }, ['ops@example.com']);
  const { store, notifier } = rig;
  const max = LIMITS.mailsPerAddressHourMax;
  store.mailRecipients.replace(CLIENT, [{ address: 'ops@example.com', types: null }]);
  const own = { kind: 'mail', owner: CLIENT, target: 'ops@example.com' } as const;
  for (let i = 0; i < 2 * max; i += 1) {
    notifier.test({ clientId: CLIENT, key: String(i), askedBy: 'key_x' }, [own]);
  }
  rig.sender.start();
  await rig.until(...Array.from({ length: 2 * max }, () => 'delivered' as const));
  assert.equal(server.taken.length, 1, 'they are folded');
  for (let i = 0; i < max; i += 1) {
    rig.tell(String(i));
    const key = `more ${i}`;
    notifier.test({ clientId: CLIENT, key, askedBy: 'key_x' }, [own]);
  }
  rig.sender.soon();
  await rig.until(...Array.from({ length: 4 * max }, () => 'delivered' as const));
  const seen = subjects(server).slice(1);
  assert.ok(seen.slice(0, max).every((subject) => subject?.includes('A worker is down')));
  assert.deepEqual(seen.slice(max), [`[Bulkhead] ${max} notices`]);
  const data = { reason: 'budget', scope: 'all' };
  notifier.tell({ type: 'client.paused', clientId: CLIENT, key: 'p', data });
  const [paused] = store.notices.page(undefined, 1);
  const to = store.noticeDeliveries.of([paused?.sequence ?? 0]);
  assert.deepEqual(
    to.map(({ owner }) => owner),
    [''],
    'once, and the client can not take it back',
  );
});

test('a client that names one address after the other does not mail for all the world', async (t) => {
  const server = await startMailServer(t, 'plain');
  const rig = startRig(t, { port: server.port }, ['ops@example.com']);
  const max = LIMITS.mailsPerClientHourMax;
  for (let i = 0; i < 2 * max; i += 1) {
    const own = { kind: 'mail', owner: CLIENT, target: `a${i}@example.com` } as const;
    rig.notifier.test({ clientId: CLIENT, key: String(i), askedBy: 'key_x' }, [own]);
  }
  rig.sender.start();
  const sent = async (count: number) => {
    for (let waited = 0; server.taken.length < count; waited += 10) {
      assert.ok(waited < 5_000, `${server.taken.length} of ${count} mails`);
      rig.clock.advance(1_000);
      await sleep(10);
    }
  };
  await sent(max);
  for (let minute = 0; minute < 5; minute += 1) {
    rig.clock.advance(61_000);
    await sleep(20);
  }
  assert.equal(server.taken.length, max, 'no more within the hour');
  rig.tell('down');
  rig.sender.soon();
  await sent(max + 1);
  assert.match(subjects(server).at(-1) ?? '', /A worker is down/);
});

test('all mails of a minute are bounded, and an address that is none any more gets nothing', async (t) => {
  const server = await startMailServer(t, 'plain');
  const count = LIMITS.mailsPerMinuteMax + 5;
  const operators = Array.from({ length: count }, (_, i) => `ops${i}@example.com`);
  const rig = startRig(t, { port: server.port }, operators);
  rig.tell('1');
  rig.sender.start();
  for (
    let waited = 0;
    server.taken.length < LIMITS.mailsPerMinuteMax && waited < 5_000;
    waited += 10
  ) {
    await sleep(10);
  }
  await sleep(50);
  assert.equal(server.taken.length, LIMITS.mailsPerMinuteMax);
  const left = rig.store.noticeDeliveries.waiting('mail', 100);
  assert.equal(left.length, 5);
  rig.store.noticeDeliveries.drop('', left[0]?.target ?? '');
  rig.clock.advance(60_001);
  for (let waited = 0; server.taken.length < count - 1 && waited < 5_000; waited += 10) {
    await sleep(10);
  }
  await sleep(50);
  assert.equal(server.taken.length, count - 1);
  assert.equal(new Set(server.taken.map(({ to }) => to)).size, count - 1);
});

test('who was handing over when the process died is unknown after it', async (t) => {
  const server = await startMailServer(t, 'plain');
  const rig = startRig(t, { port: server.port }, ['ops@example.com']);
  rig.tell('1');
  const [due] = rig.store.noticeDeliveries.due(OPS, 1);
  assert.equal(rig.store.noticeDeliveries.handOver(due?.deliveryId ?? 0, '<1@a.bc>'), true);
  rig.sender.start();
  await rig.until('unknown');
  await sleep(50);
  assert.deepEqual(server.taken, []);
});

test('a server that is silent does not keep the process from ending', async (t) => {
  const server = await startMailServer(t, 'plain');
  const rig = startRig(t, { port: server.port, timeoutMs: 60_000 }, ['silent@example.com']);
  rig.tell('1');
  rig.sender.start();
  await rig.until('handing_over');
  const closed = rig.sender.close();
  rig.clock.advance(2_000);
  await closed;
  assert.deepEqual(rig.states(), ['unknown']);
  const deaf = createServer();
  cleanUp(t, () => void deaf.close());
  await new Promise<void>((resolve) => deaf.listen(0, '127.0.0.1', resolve));
  const { port } = deaf.address() as AddressInfo;
  const other = startRig(t, { port, timeoutMs: 60_000 }, ['ops@example.com']);
  other.tell('1');
  other.sender.start();
  await once(deaf, 'connection');
  const ended = other.sender.close();
  other.clock.advance(2_000);
  await ended;
  assert.deepEqual(other.states(), ['waiting']);
});
