/** Requests that are odd before their body is looked at: an envelope with a sentence for each. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { createSmall, type DataRig, startRig } from './data-rig.ts';

/** Sends header lines as they are and reads to the end of the connection. */
async function send(rig: DataRig, line: string, headers: string[], body = ''): Promise<string> {
  const socket = connect(Number(new URL(rig.url).port), '127.0.0.1');
  const lines = [line, ...headers, 'connection: close', '', body];
  socket.write(lines.join('\r\n'));
  let text = '';
  for await (const piece of socket) text += piece;
  return text;
}

const KEY = 'api-key: a-live';
const HOST = 'host: x';
const LIST = 'GET /collections HTTP/1.1';

test('what is wrong with a header is said in the envelope', async (t) => {
  const rig = await startRig(t);
  const bearer = (key: string) => `authorization: Bearer ${key}`;
  const cases: [headers: string[], status: number, says: RegExp][] = [
    [[KEY], 400, /the header Host is missing/],
    [[KEY, HOST, 'host: y'], 400, /the header Host is there more than once/],
    [[KEY, HOST, 'expect: 200-maybe'], 400, /Expect can only be/],
    [[HOST, bearer('a-live'), bearer('b-live')], 400, /Authorization is there more than once/],
    [[HOST, KEY, 'API-Key: b-live'], 400, /api-key is there more than once/],
    [[HOST, 'api-key:', bearer('a-live')], 200, /"status":"ok"/],
    [[HOST, 'api-key:', 'authorization: Bearer '], 401, /an API key is needed/],
    [[HOST, KEY, `x-large: ${'x'.repeat(20_000)}`], 431, /the header is too large/],
    [[HOST, KEY, `x-large: ${'x'.repeat(500_000)}`], 431, /the header is too large/],
    [[HOST, KEY], 200, /"status":"ok"/],
  ];
  for (const [headers, status, says] of cases) {
    const text = await send(rig, LIST, headers);
    const shown = headers.join(' | ').slice(0, 100);
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `), shown);
    assert.match(text, says, shown);
    if (status !== 200) {
      const { code, result } = JSON.parse(text.slice(text.indexOf('\r\n\r\n')));
      assert.deepEqual([typeof code, result], ['string', null]);
    }
  }
  const old = await send(rig, 'GET /collections HTTP/1.0', [KEY]);
  assert.match(old, /^HTTP\/1\.1 200 /);
});

test('a body is UTF-8 or refused', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const ask = (type: string) => {
    return rig.call('POST', '/collections/c/points/count', '{}', { 'content-type': type });
  };
  for (const charset of ['utf-8', 'UTF-8', '"utf-8"', 'us-ascii', 'utf8']) {
    assert.equal((await ask(`application/json; charset=${charset}`)).status, 200, charset);
  }
  for (const charset of ['utf-16', 'UTF-16LE', '"latin1"', 'iso-8859-1']) {
    const { status, json } = await ask(`application/json;charset=${charset}`);
    assert.deepEqual([status, json.code], [415, 'unsupported_media_type'], charset);
  }
});

test('parts of the dialect that are not here name what to use instead', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const instead = [
    'recommend',
    'recommend/batch',
    'recommend/groups',
    'discover',
    'discover/batch',
  ];
  for (const path of [...instead, 'query/groups', 'search/groups']) {
    const { status, json } = await rig.call('POST', `/collections/c/points/${path}`, {});
    assert.deepEqual([status, json.code], [501, 'not_supported'], path);
    assert.match(
      json.status.error,
      /not available; use POST \/collections\/{collection}\/points\/q/,
    );
  }
  for (const path of ['/collections/aliases', '/collections/c/facet']) {
    assert.equal((await rig.call('POST', path, {})).status, 501, path);
  }
  const peers = [
    ['POST', '/collections/c/cluster', /are placed, copied and moved by the service; use PATCH/],
    ['POST', '/cluster/recover', /peers are not managed here/],
    ['DELETE', '/cluster/peer/1', /peers are not managed here/],
    ['GET', '/cluster/telemetry', /peers are not managed here/],
  ] as const;
  for (const [method, path, text] of peers) {
    const { status, json } = await rig.call(method, path, method === 'POST' ? {} : undefined);
    assert.deepEqual([status, json.code], [501, 'not_supported'], path);
    assert.match(json.status.error, text);
  }
  assert.equal((await rig.call('POST', '/collections/c/points/toString', {})).status, 405);
});

test('a name that a program has taken out of the path is asked for', async (t) => {
  const rig = await startRig(t);
  for (const path of [
    '/collections/..',
    '/collections/%2e%2e',
    '/collections/.',
    '/collections/',
  ]) {
    const { status, json } = await rig.call('PUT', path, { vectors: { size: 4, distance: 'Dot' } });
    assert.ok(status === 400 || status === 405, path);
    assert.match(json.status.error, /name/, path);
  }
  const text = await send(
    rig,
    'PUT /collections/.. HTTP/1.1',
    [...[HOST, KEY, 'content-type: application/json', 'content-length: 2']],
    '{}',
  );
  assert.match(text, /a collection name has no/);
});
