/**
 * Where a text stops being JSON. V8's own message quotes the text, which may be a client's data,
 * and often has no position; so after a failed parse this finds the first wrong character
 * (RFC 8259). It runs only on the way to an error.
 *
 *   value  -> scalar | "[" ... | "{" ...       after a value: "," or the end of its container
 */

export interface SyntaxFault {
  /** Index of the first character that can not stand there, or the length when text is missing. */
  position: number;
  problem: string;
}

type Expect = 'value' | 'value-or-end' | 'key' | 'key-or-end' | 'colon' | 'comma-or-end' | 'end';

const PROBLEMS: Record<Expect, string> = {
  value: 'a value is expected',
  'value-or-end': 'a value or "]" is expected',
  key: 'a key in double quotes is expected',
  'key-or-end': 'a key in double quotes or "}" is expected',
  colon: 'a ":" is expected after a key',
  'comma-or-end': 'a "," or the end of the array or object is expected',
  end: 'nothing may follow the value',
};

const BLANK = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/** The first fault of a text that `JSON.parse` refused. */
export function locateSyntaxError(text: string): SyntaxFault {
  const open: ('[' | '{')[] = [];
  let expect: Expect = 'value';
  let at = skip(BLANK, text, 0);
  while (at < text.length) {
    const char = text[at] as string;
    const next = step(expect, char, open);
    if (next !== undefined) {
      at += 1;
      expect = next;
    } else {
      const end = scalarEnd(expect, char, text, at);
      if (typeof end !== 'number') return end;
      expect = expect.startsWith('key') ? 'colon' : afterValue(open);
      at = end;
    }
    at = skip(BLANK, text, at);
  }
  return { position: text.length, problem: `the text ends too early; ${PROBLEMS[expect]}` };
}

/** What is expected after a structural character; undefined when it is not one that may stand. */
function step(expect: Expect, char: string, open: ('[' | '{')[]): Expect | undefined {
  const top = open.at(-1);
  if (char === '[' && expect.startsWith('value')) {
    open.push('[');
    return 'value-or-end';
  }
  if (char === '{' && expect.startsWith('value')) {
    open.push('{');
    return 'key-or-end';
  }
  if (char === ':' && expect === 'colon') return 'value';
  if (char === ',' && expect === 'comma-or-end') return top === '{' ? 'key' : 'value';
  const mayEnd = expect === 'comma-or-end' || expect.endsWith('-or-end');
  if (mayEnd && ((char === ']' && top === '[') || (char === '}' && top === '{'))) {
    open.pop();
    return afterValue(open);
  }
  return undefined;
}

function afterValue(open: string[]): Expect {
  return open.length === 0 ? 'end' : 'comma-or-end';
}

/** The index after a string, number or word at `at`, or the fault. */
function scalarEnd(expect: Expect, char: string, text: string, at: number): number | SyntaxFault {
  const wanted = { position: at, problem: PROBLEMS[expect] };
  if (expect.startsWith('key')) return char === '"' ? stringEnd(text, at) : wanted;
  if (!expect.startsWith('value')) return wanted;
  if (char === '"') return stringEnd(text, at);
  const end = Math.max(skip(NUMBER, text, at), skip(WORD, text, at));
  return end > at ? end : wanted;
}

function stringEnd(text: string, at: number): number | SyntaxFault {
  let index = at + 1;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code === 0x22) return index + 1;
    if (code < 0x20) return { position: index, problem: 'control characters must be escaped' };
    if (code === 0x5c) {
      const end = skip(ESCAPE, text, index);
      if (end === index) return { position: index, problem: 'this escape is not known' };
      index = end;
    } else index += 1;
  }
  return { position: text.length, problem: 'the text ends inside a string' };
}

function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}
