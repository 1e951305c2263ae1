import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TurnCork } from './turn-cork.ts';

/** Notes how many frames each write has. */
function countingSocket(): { socket: Writable; writes: number[] } {
  const writes: number[] = [];
  const socket = new Writable({
    write: (_chunk, _encoding, done) => {
      writes.push(1);
      done();
    },
    writev: (chunks, done) => {
      writes.push(chunks.length);
      done();
    },
  });
  return { socket, writes };
}

function sendAll(cork: TurnCork, socket: Writable, count: number): void {
  for (let i = 0; i < count; i += 1) {
    cork.hold();
    socket.write('frame');
  }
}

test('frames of one turn leave together, at its end', async () => {
  const { socket, writes } = countingSocket();
  const cork = new TurnCork(socket);
  sendAll(cork, socket, 3);
  assert.deepEqual(writes, []);
  await nextTurn();
  assert.deepEqual(writes, [3]);
  sendAll(cork, socket, 2);
  await nextTurn();
  assert.deepEqual(writes, [3, 2]);
});

test('what is sent in the callbacks that come leaves with them when it is expected', async () => {
  const { socket, writes } = countingSocket();
  const cork = new TurnCork(socket);
  const seen: number[][] = [];
  setImmediate(() => {
    sendAll(cork, socket, 2);
    setImmediate(() => seen.push([...writes]));
  });
  cork.expect();
  await nextTurn();
  await nextTurn();
  assert.deepEqual([seen, writes], [[[2]], [2]], 'not a turn later');
  cork.expect();
  await nextTurn();
  assert.deepEqual(writes, [2], 'nothing came');
});

test('many frames do not wait for the end of the turn', async () => {
  const { socket, writes } = countingSocket();
  const cork = new TurnCork(socket);
  sendAll(cork, socket, 20);
  assert.deepEqual(writes, [8, 8]);
  await nextTurn();
  assert.deepEqual(writes, [8, 8, 4]);
});
