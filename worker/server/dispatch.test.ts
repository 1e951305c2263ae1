/** What a worker's log says of callers' requests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { decodeFrame } from '../../shared/protocol/frame.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
import { EMPTY, frameOf, SHARD } from '../../test/link/link-rig.ts';
import { type AnswerLine, Dispatcher, type Handlers } from './dispatch.ts';

const ORIGIN = 'req_abcdefghijklmnop';

function start() {
  const clock = new ManualClock();
  const logged = recordingLog();
  const origins: string[] = [];
  let tookMs = 0;
  let failure: Error | undefined;
  const handlers = {
    'points-count': (_shardId, _body, _vectors, deadline) => {
      origins.push(deadline.origin);
      clock.advance(tookMs);
      if (failure !== undefined) throw failure;
      return { body: { count: 1, work: { examined: 0, changed: 0 } }, vectors: EMPTY };
    },
  } as Partial<Handlers> as Handlers;
  const dispatcher = new Dispatcher({ clock, log: logged.log, handlers });
  const line: AnswerLine = {
    open: true,
    bufferedBytes: 0,
    send: () => undefined,
    expectAnswers: () => undefined,
    fail: (error) => assert.fail(String(error)),
  };
  const ask = async (origin: string, ms: number, error?: Error) => {
    [tookMs, failure] = [ms, error];
    dispatcher.dispatch(decodeFrame(frameOf({ origin, deadlineMs: 60_000 })), line);
    await new Promise(setImmediate);
  };
  return { clock, logged, origins, ask };
}

test('a request that fails is logged with the id that came with it', async () => {
  const { logged, origins, ask } = start();
  await ask(ORIGIN, 0, new TypeError('a defect'));
  assert.deepEqual(origins, [ORIGIN]);
  const fields = logged.saw('request_failed')[0]?.fields ?? {};
  assert.deepEqual([fields.requestId, fields.shardId], [ORIGIN, SHARD]);
});

test('slow requests of callers are told of, one a second, with how many others there were', async () => {
  const { clock, logged, ask } = start();
  await ask(ORIGIN, 999);
  await ask('', 30_000);
  assert.equal(logged.saw('request_slow').length, 0);
  await ask(ORIGIN, 1_500);
  const fields = logged.saw('request_slow')[0]?.fields ?? {};
  assert.deepEqual(
    [fields.requestId, fields.message, fields.ms, fields.others],
    [ORIGIN, 'points-count', 1_500, 0],
  );
  clock.advance(1_000);
  await ask('a-second-one', 1_000);
  assert.equal(logged.saw('request_slow').length, 2);
});
