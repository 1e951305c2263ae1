import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maskSource } from './mask.ts';

const CASES: [string, string][] = [
  ["a('Date.now()') // x\nb", "a('          ')     \nb"],
  ['/* one\n two */ c', '      \n        c'],
  ["'it\\'s' + d", "'     ' + d"],
  ['`a${b}c${`d${e}`}` + f', '` ${b} ${` ${e}`}` + f'],
  ['`${{ a: 1 }.a}` + g', '`${{ a: 1 }.a}` + g'],
  ["x.replace(/['/]\\/`/g, y)", 'x.replace(/       /g, y)'],
  ['h / 2 / i', 'h / 2 / i'],
  ["return /'/.test(j)", 'return / /.test(j)'],
  ['k = l[0] / m(1) / 2', 'k = l[0] / m(1) / 2'],
  ['#!/usr/bin/env node\nn', '                   \nn'],
  ['// unterminated', '               '],
];

test('what is not code is blank; the rest stays in its place', () => {
  for (const [source, masked] of CASES) {
    assert.equal(maskSource(source), masked, source);
  }
});
