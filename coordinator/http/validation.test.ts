import assert from 'node:assert/strict';
import { test } from 'node:test';
import Type from 'typebox';
import { closedObject, createValidatorCompiler, formedText, nullable } from './validation.ts';

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
  return 'error' in result ? result.error.message : undefined;
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

test('the first unknown field is named at once, however many there are', () => {
  let reads = 0;
  const fields = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`k${i}`, i]));
  const many = new Proxy(fields, {
    get(target, name) {
      reads += 1;
      return Reflect.get(target, name);
    },
  });
  const nested = compile({
    schema: closedObject({ searches: Type.Array(closedObject({ q: nullable(schema) })) }),
  });
  const cases: [ReturnType<typeof compile>, unknown, string][] = [
    [validate, many, 'unknown field "k0"'],
    [validate, { name: 'x', list: [{ id: 1 }, many] }, 'list[1]: unknown field "k0"'],
    [nested, { searches: [{ q: null }, { q: many }] }, 'searches[1].q: unknown field "k0"'],
  ];
  for (const [check, data, expected] of cases) {
    reads = 0;
    const result = check(data);
    assert.ok('error' in result);
    assert.equal(result.error.message, expected);
    assert.ok(reads < 10, `${reads} fields were looked at`);
  }
});

test('a list that is too long is refused before its elements are looked at', () => {
  const check = compile({
    schema: closedObject({
      list: Type.Array(closedObject({ id: Type.Integer() }), { maxItems: 2 }),
    }),
  });
  const result = check({ list: Array(1_000_000).fill({ id: 'x' }) });
  assert.ok('error' in result);
  assert.equal(result.error.message, 'list: must not have more than 2 elements');
});

test('a text has the form that its schema says in words', () => {
  const query = compile({
    schema: closedObject({ timeout: formedText('^[1-9]+$', 'a whole number') }),
    httpPart: 'querystring',
  });
  const result = query({ timeout: '0' });
  assert.ok('error' in result);
  assert.equal(result.error.message, 'timeout: a whole number');
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
