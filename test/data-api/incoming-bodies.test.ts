/** Bodies on their way in: who may hold what, for how long, and what becomes of the others. */
import assert from 'node:assert/strict';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { cleanUp } from '../harness/cleanup.ts';
import { CLIENT_A, createSmall, type DataRig, startRig } from './data-rig.ts';

const MIB = 2 ** 20;
const QUERY_PATH = '/collections/c/points/query';

interface HalfSent {
  socket: Socket;
  text(): string;
  ended: Promise<unknown>;
}

/** Sends a header and the beginning of a body, and no more. */
function sendHalf(t: TestContext, rig: DataRig, length: string, body: string): HalfSent {
  const socket = connect(Number(new URL(rig.url).port), '127.0.0.1');
  cleanUp(t, () => void socket.destroy());
  let text = '';
  const { promise, resolve } = Promise.withResolvers<void>();
  socket.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  socket.on('error', () => resolve()).on('close', () => resolve());
  socket.write(
    `POST ${QUERY_PATH} HTTP/1.1\r\nhost: x\r\napi-key: a-live\r\n` +
      `content-type: application/json\r\n${length}\r\n\r\n${body}`,
  );
  return { socket, text: () => text, ended: promise };
}

const CHUNKED = 'transfer-encoding: chunked';
const chunkOf = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;

async function waitUntil(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !holds(); i += 1) await new Promise((next) => setTimeout(next, 2));
  assert.ok(holds(), 'it came to hold in time');
}

test('bodies that are promised and do not come keep nobody out', async (t) => {
  const rig = await startRig(t, { clientBodiesMax: 64 * MIB, bodiesMax: 64 * MIB });
  await createSmall(rig);
  for (let i = 0; i < 16; i += 1) sendHalf(t, rig, CHUNKED, chunkOf('{'));
  sendHalf(t, rig, `content-length: ${32 * MIB}`, '{');
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 17);
  const large = { query: [1, 2, 3, 4], using: 'x'.repeat(8 * MIB) };
  for (const key of ['a-live', 'b-live']) {
    const headers = { 'api-key': key };
    assert.equal((await rig.call('POST', QUERY_PATH, {}, headers)).status === 503, false, key);
    assert.equal((await rig.call('POST', QUERY_PATH, large, headers)).status === 503, false, key);
  }
});

test('bodies that have come keep large ones out, not small ones, until they are gone', async (t) => {
  const rig = await startRig(t, { clientBodiesMax: 2 * MIB, bodiesMax: 2 * MIB });
  await createSmall(rig);
  const text = 'x'.repeat(MIB + 128 * 1024);
  const held = sendHalf(t, rig, CHUNKED, chunkOf(`{"using":"${text}`));
  const call = (length: number) => {
    const body = { query: [1, 2, 3, 4], using: 'x'.repeat(length) };
    return rig.call('POST', QUERY_PATH, body, { 'api-key': 'b-live' });
  };
  let refused = await call(MIB);
  for (let i = 0; i < 200 && refused.status !== 503; i += 1) refused = await call(MIB);
  assert.deepEqual([refused.status, refused.json.code], [503, 'overloaded']);
  assert.equal((await call(10)).status, 404);
  assert.equal((await call(60_000)).status, 404);
  held.socket.destroy();
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 0);
  assert.equal((await call(MIB)).status, 404);
});

test('a body that passes the bound on its way is answered, and its bytes are given back', async (t) => {
  const rig = await startRig(t, { clientBodiesMax: MIB, bodiesMax: 2 * MIB });
  await createSmall(rig);
  const half = sendHalf(t, rig, CHUNKED, chunkOf(`{"using":"${'x'.repeat(MIB)}`));
  await waitUntil(() => half.text().includes('too_many_requests'));
  assert.match(half.text(), /^HTTP\/1\.1 429 /);
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 0);
  const fits = { query: [1, 2, 3, 4], using: 'x'.repeat(MIB - 1_000) };
  assert.equal((await rig.call('POST', QUERY_PATH, fits)).status, 400);
});

test('a body that hardly comes is cut off with 408; one that comes is not', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { clock });
  await createSmall(rig);
  const slow = [
    sendHalf(t, rig, CHUNKED, chunkOf('{')),
    sendHalf(t, rig, 'content-length: 100', '{"query"'),
    sendHalf(t, rig, `content-length: ${MIB}`, 'x'.repeat(100_000)),
  ];
  const steady = sendHalf(t, rig, CHUNKED, chunkOf('{"using":"'));
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 4);
  for (let period = 0; period < 3; period += 1) {
    clock.advance(5_000);
    for (const { socket } of slow.slice(1)) if (socket.writable) socket.write(' ');
    steady.socket.write(chunkOf('x'.repeat(80_000)));
    await new Promise((next) => setTimeout(next, 50));
  }
  clock.advance(5_000);
  for (const { ended } of slow) await ended;
  for (const { text } of slow) {
    assert.match(text(), /^HTTP\/1\.1 408 Request Timeout\r\n/);
    assert.match(text(), /"code":"request_timeout"/);
  }
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 1);
  steady.socket.write(`${chunkOf('"}')}0\r\n\r\n`);
  await waitUntil(() => steady.text().includes('"code":"invalid_argument"'));
  assert.deepEqual(
    rig.events.filter(({ event }) => event === 'request_failed'),
    [],
  );
});

test('a client that hangs up in the middle of a body is no failure of ours', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  rig.events.length = 0;
  const halves = [
    sendHalf(t, rig, CHUNKED, chunkOf('{')),
    sendHalf(t, rig, 'content-length: 100', '{"query"'),
    sendHalf(t, rig, `content-length: ${MIB}`, 'x'.repeat(100_000)),
  ];
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 3);
  for (const { socket } of halves) socket.destroy();
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 0);
  await waitUntil(() => rig.events.length === 3);
  for (const { event, fields } of rig.events) {
    assert.deepEqual([event, 'status' in fields && fields.status], ['request_done', 499]);
  }
});
