import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csvOf, wantsCsv } from './csv.ts';

test('cells are quoted where RFC 4180 wants it, lines end in CRLF', () => {
  const rows = [
    { a: 'plain', b: 12 },
    { a: 'with, comma', b: null },
    { a: 'says "no"', b: -5 },
    { a: 'two\nlines', b: 0 },
  ];
  assert.equal(
    csvOf(['a', 'b'], rows),
    'a,b\r\nplain,12\r\n"with, comma",\r\n"says ""no""",-5\r\n"two\nlines",0\r\n',
  );
  assert.equal(csvOf(['a'], []), 'a\r\n');
});

test('what a spreadsheet would run is a text, a number is a number', () => {
  const cells = ['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '-1+cmd', '=A1,"x"', 'a=1'];
  const rows = cells.map((a) => ({ a }));
  assert.deepEqual(csvOf(['a'], rows).split('\r\n').slice(1, -1), [
    "'=1+1",
    "'+1",
    '-1',
    "'@SUM(A1)",
    "'\t=1",
    '"\'\r=1"',
    "'-1+cmd",
    '"\'=A1,""x"""',
    'a=1',
  ]);
});

test('the query string decides before the header', () => {
  const asked = (format: string | undefined, accept: string | undefined) => {
    return wantsCsv({ query: format === undefined ? {} : { format }, headers: { accept } });
  };
  assert.equal(asked('csv', undefined), true);
  assert.equal(asked('json', 'text/csv'), false);
  assert.equal(asked(undefined, 'text/csv; q=1'), true);
  assert.equal(asked(undefined, '*/*'), false);
  assert.equal(asked(undefined, undefined), false);
});
