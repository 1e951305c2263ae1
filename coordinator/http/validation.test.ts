import assert from 'node:assert/strict';
import { test } from 'node:test';
import Type from 'typebox';
import {
  closedObject,
  createValidatorCompiler,
  describeValidation,
  nullable,
} from './validation.ts';

const compile = createValidatorCompiler();
const schema = closedObject({
  name: Type.String({ minLength: 1, maxLength: 3 }),
  size: nullable(Type.Integer({ minimum: 1, maximum: 9 })),
  kind: Type.Optional(Type.Enum(['a', 'b'])),
  list: Type.Optional(Type.Array(closedObject({ id: Type.Integer() }))),
});
const validate = compile({ schema, httpPart: 'body' });

function sentence(data: unknown): string | undefined {
  const result = validate(data);
  return 'error' in result ? describeValidation(result.error) : undefined;
}

test('what fits passes unchanged: nothing is coerced, stripped or filled in', () => {
  for (const data of [{ name: 'x' }, { name: 'x', size: null }, { name: 'x', list: [{ id: 1 }] }]) {
    assert.deepEqual(validate(data), { value: data });
  }
});

test('each sentence names the place and what to change', () => {
  const cases: [unknown, RegExp][] = [
    [{ name: 'x', nmae: 'y' }, /^unknown field "nmae"$/],
    [{}, /^the field "name" is missing$/],
    [{ name: 5 }, /^name: must be a string$/],
    [{ name: '' }, /^name: must not have fewer than 1 char/],
    [{ name: 'long' }, /^name: must not have more than 3 char/],
    [{ name: 'x', size: 0 }, /^size: must be >= 1$/],
    [{ name: 'x', size: 10 }, /^size: must be <= 9$/],
    [{ name: 'x', size: '5' }, /^size: must be an integer$/],
    [{ name: 'x', size: 2n ** 60n }, /^size: (?:the integer is too large|must be <= 9)$/],
    [{ name: 'x', kind: 'c' }, /^kind: must be one of "a", "b"$/],
    [{ name: 'x', list: [{ id: 1 }, { id: 'x' }] }, /^list\[1\].id: must be an integer$/],
    [{ name: 'x', list: [{ id: 1, more: 1 }] }, /^list\[0\]: unknown field "more"$/],
    [null, /^the body: must be a JSON object$/],
    [[], /^the body: must be a JSON object$/],
    ['text', /^the body: must be a JSON object$/],
  ];
  for (const [data, expected] of cases) assert.match(sentence(data) ?? 'passed', expected);
});

test('a name from outside is cut and quoted', () => {
  const text = sentence({ name: 'x', [`a"\n${'b'.repeat(1_000)}`]: 1 }) ?? '';
  assert.ok(text.length < 120, text);
  assert.match(text, /^unknown field "a\\"\\nb+\.\.\."$/);
});

test('the part of the request is named when it is the whole of it', () => {
  const query = compile({ schema: closedObject({}), httpPart: 'querystring' });
  const result = query({ foo: '1' });
  assert.ok('error' in result);
  assert.equal(result.error.message, 'unknown parameter "foo"');
});

test('another error has no sentence of a validation', () => {
  assert.equal(describeValidation(new Error('x')), undefined);
});
