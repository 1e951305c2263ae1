/**
 * Payload key paths: `a.b` goes into objects, `a[].b` through the elements of an array, `"a.b"`
 * (in quotes) is one key with a dot in it, and `a[0]` one element.
 *
 *   path  = key { "." key }
 *   key   = ( name | '"' any '"' ) { "[" [ digits ] "]" }
 *
 * A plain key that meets an array at its end yields the array's elements too when a condition is
 * checked (Qdrant: a condition on an array holds if it holds for one element).
 */
import { InvalidInput } from '../base/invalid.ts';
import { LIMITS } from './limits.ts';
import type { JsonValue } from './point.ts';

/** A step is a key, an index into an array, or every element. */
export type PathStep = string | number | typeof EACH;
export const EACH = true;
export type PayloadPath = PathStep[];

const KEY = /(?:"([^"]+)"|([^."[\]]+))((?:\[[0-9]{0,9}\])*)(\.|$)/y;

/** Throws `InvalidInput` when the text is not a path. */
export function parsePayloadPath(text: unknown, where: string): PayloadPath {
  if (typeof text !== 'string' || text === '') {
    throw new InvalidInput(where, 'a payload key is a text that is not empty');
  }
  if (Buffer.byteLength(text) > LIMITS.payloadPathBytesMax) {
    throw new InvalidInput(where, `a payload key has at most ${LIMITS.payloadPathBytesMax} bytes`);
  }
  const steps: PayloadPath = [];
  KEY.lastIndex = 0;
  let end = '.';
  while (end === '.') {
    const match = KEY.exec(text);
    if (match === null) throw new InvalidInput(where, `"${text}" is not a payload key path`);
    const [, quoted, plain, brackets = ''] = match;
    steps.push(checkedKey(quoted ?? plain ?? '', where));
    for (const bracket of brackets.matchAll(/\[([0-9]*)\]/g)) {
      steps.push(bracket[1] === '' ? EACH : Number(bracket[1]));
    }
    end = match[4] ?? '';
  }
  return steps;
}

function checkedKey(key: string, where: string): string {
  if (key === '__proto__') throw new InvalidInput(where, '"__proto__" is not allowed as a key');
  return key;
}

/** The text of a path; `parsePayloadPath` of it gives the path again. */
export function formatPayloadPath(path: PayloadPath): string {
  let text = '';
  for (const step of path) {
    if (step === EACH) text += '[]';
    else if (typeof step === 'number') text += `[${step}]`;
    else text += `${text === '' ? '' : '.'}${/[.[\]]/.test(step) ? `"${step}"` : step}`;
  }
  return text;
}

/** Calls `visit` with each value that the path leads to; arrays at the end are passed whole. */
export function visitPath(
  value: JsonValue | undefined,
  path: PayloadPath,
  visit: (value: JsonValue) => void,
  at = 0,
): void {
  if (value === undefined) return;
  if (at === path.length) {
    visit(value);
    return;
  }
  const step = path[at] as PathStep;
  if (Array.isArray(value)) {
    if (step === EACH) for (const element of value) visitPath(element, path, visit, at + 1);
    else if (typeof step === 'number') visitPath(value[step], path, visit, at + 1);
    return;
  }
  if (typeof step === 'string' && typeof value === 'object' && value !== null) {
    if (Object.hasOwn(value, step)) visitPath(value[step], path, visit, at + 1);
  }
}

/** Whether `test` holds for one of the values that `visitPath` would pass. */
export function somePathValue(
  value: JsonValue | undefined,
  path: PayloadPath,
  test: (value: JsonValue) => boolean,
  at = 0,
): boolean {
  if (value === undefined) return false;
  if (at === path.length) return test(value);
  const step = path[at] as PathStep;
  if (Array.isArray(value)) {
    if (step === EACH) return value.some((element) => somePathValue(element, path, test, at + 1));
    return typeof step === 'number' && somePathValue(value[step], path, test, at + 1);
  }
  if (typeof step !== 'string' || typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, step) && somePathValue(value[step], path, test, at + 1);
}
