/**
 * The process that tells and sends is killed at random points, with a real mail server and a real receiver at
 * the other end: no mail comes twice, no event is lost, and each webhook event keeps its id.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ControlStore } from '../../coordinator/store/control-store.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { compileCacheEnvironment } from '../../shared/base/compile-cache.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { cleanUp } from '../harness/cleanup.ts';
import { type MailServer, startMailServer } from '../harness/mail-server.ts';
import { byProfile } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

const PROGRAM = fileURLToPath(new URL('../harness/notify-process.ts', import.meta.url));
const ROUNDS = byProfile(1, 50);
const KILLS = 4;
const NOTICES = 10;
const ADDRESSES = 5;
/** A process is killed up to so many mails and milliseconds after its start. */
const LIFE_MAILS_MAX = 6;
const LIFE_MS_MAX = 30;
/** Of an answer of the receiver. */
const THINKING_MS_MAX = 40;

test('kill -9 of the sender: no mail twice, every event posted, nothing lost', async (t) => {
  const random = new SeededRandom(takeSeed(t, 11));
  const mail = await startMailServer(t, 'plain');
  const receiver = await startReceiver(t, random);
  let [posts, unknown] = [0, 0];
  for (let round = 0; round < ROUNDS; round += 1) {
    mail.taken.splice(0);
    receiver.posts.splice(0);
    const store = await playRound(t, random, { mail, receiver });
    const notices = store.notices.page(undefined, 1_000);
    assert.equal(notices.length, NOTICES, 'each is told once');
    const fates = store.noticeDeliveries.of(notices.map(({ sequence }) => sequence));
    store.close();
    checkMails(mail.taken, fates);
    const idOf = new Map(notices.map(({ noticeId, data }) => [String(data.worker_id), noticeId]));
    for (const { id, worker } of receiver.posts) {
      assert.equal(id, idOf.get(worker), 'one id for all posts');
    }
    const posted = new Set(receiver.posts.map(({ worker }) => worker));
    assert.equal(posted.size, NOTICES, 'every event was posted');
    const hooks = fates.filter(({ kind }) => kind === 'webhook');
    assert.ok(hooks.every(({ state }) => state === 'delivered'));
    posts += receiver.posts.length;
    unknown += fates.filter(({ state }) => state === 'unknown').length;
  }
  const kills = ROUNDS * KILLS;
  t.diagnostic(`${kills} kills: ${posts} posts of ${ROUNDS * NOTICES}, ${unknown} mails unknown`);
});

interface Receiver {
  port: number;
  posts: { id: string; worker: string }[];
}

async function startReceiver(t: TestContext, random: SeededRandom): Promise<Receiver> {
  const posts: Receiver['posts'] = [];
  const server = createServer((request, response) => {
    void readText(request).then(async (body) => {
      const id = String(request.headers['webhook-id']);
      posts.push({ id, worker: JSON.parse(body).data.worker_id });
      await sleep(random.below(THINKING_MS_MAX));
      response.writeHead(204).end();
    });
  });
  cleanUp(t, () => server.closeAllConnections());
  cleanUp(t, () => void server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, posts };
}

/** Kills the sender again and again, then lets it come to its end; what its store says. */
async function playRound(
  t: TestContext,
  random: SeededRandom,
  { mail, receiver }: { mail: MailServer; receiver: Receiver },
): Promise<ControlStore> {
  const folder = temporaryFolder(t);
  const start = () => {
    const args = [folder, mail.port, receiver.port, NOTICES].map(String);
    const env = { PATH: process.env.PATH ?? '', ...compileCacheEnvironment() };
    const child = fork(PROGRAM, args, { env });
    cleanUp(t, () => void child.kill('SIGKILL'));
    return child;
  };
  for (let kill = 0; kill < KILLS; kill += 1) {
    const child = start();
    await untilSaid(child, 'started');
    await untilTaken(mail.taken, mail.taken.length + random.below(LIFE_MAILS_MAX));
    await sleep(random.below(LIFE_MS_MAX));
    await ended(child);
  }
  const last = start();
  await untilSaid(last, 'done');
  await ended(last);
  return ControlStore.open(join(folder, 'control.db'), { clock: systemClock });
}

/** Mails may fold several notices; whatever the form, an address reads of an event once. */
function checkMails(
  taken: readonly { to: string; text: string }[],
  fates: readonly { kind: string; target: string; state: string }[],
): void {
  const told = taken.flatMap(({ to, text }) => {
    const [, plain = ''] = /\r\n\r\n([\s\S]*?)text\/html/.exec(text) ?? [];
    const workers = new Set(plain.match(/wk_[0-9]{3}/g));
    return [...workers].map((worker) => `${to} ${worker}`);
  });
  assert.equal(new Set(told).size, told.length, 'nobody reads of an event twice');
  const mails = fates.filter(({ kind }) => kind === 'mail');
  assert.equal(mails.length, NOTICES * ADDRESSES);
  assert.ok(mails.every(({ state }) => state === 'delivered' || state === 'unknown'));
  const delivered = mails.filter(({ state }) => state === 'delivered').length;
  assert.ok(told.length >= delivered, 'what is called delivered has come');
}

/** Or all that there is: what comes after that changes nothing. */
async function untilTaken(taken: readonly unknown[], count: number): Promise<void> {
  const wanted = Math.min(count, NOTICES * ADDRESSES - LIFE_MAILS_MAX);
  for (let waited = 0; taken.length < wanted && waited < 5_000; waited += 2) await sleep(2);
}

async function untilSaid(child: ChildProcess, wanted: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.on('message', (message) => message === wanted && resolve());
  child.once('exit', (code) => reject(new Error(`the sender ended with ${code}`)));
  await promise;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
