/**
 * Blanks out what is not code, so that the tidy rules can use plain patterns: comments become
 * spaces, and the insides of strings, templates and regular expressions become spaces between
 * their delimiters. Lengths and line breaks stay, so an offset in the masked text is the same
 * place in the source.
 *
 *   source   const a = 'import x'; // Date.now()
 *   masked   const a = '        ';
 *
 * A scanner of one pass. Template expressions are code again, hence the stack of open templates.
 * Whether `/` divides or begins a regular expression is decided by what stands before it.
 */

/** Characters after which a `/` begins a regular expression; also at the start of a file. */
const BEFORE_REGEX = new Set('(,=:[!&|?{};+-*%<>~^');
const KEYWORD_BEFORE_REGEX =
  /(?:^|[^\w$.])(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield)$/;

export function maskSource(source: string): string {
  return new Masker(source).run();
}

class Masker {
  readonly #source: string;
  #masked = '';
  #at = 0;
  /** Depth of braces inside each open `${`. */
  readonly #templates: number[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  run(): string {
    while (this.#at < this.#source.length) this.#step();
    return this.#masked;
  }

  #step(): void {
    const character = this.#source[this.#at] ?? '';
    const two = this.#source.slice(this.#at, this.#at + 2);
    if (two === '//' || (two === '#!' && this.#at === 0)) this.#blankUntil(/\n|$/g, 0);
    else if (two === '/*') this.#blankUntil(/\*\/|$/g, 2);
    else if (character === "'" || character === '"') this.#quoted(character);
    else if (character === '`') this.#template();
    else if (character === '/' && this.#regexMayStart()) this.#regex();
    else if (character === '{' || character === '}') this.#brace(character);
    else this.#keep(1);
  }

  #keep(count: number): void {
    this.#masked += this.#source.slice(this.#at, this.#at + count);
    this.#at += count;
  }

  #blank(end: number): void {
    this.#masked += this.#source.slice(this.#at, end).replace(/[^\n]/g, ' ');
    this.#at = end;
  }

  /** Blanks up to the next match of `end`, and `extra` characters of the match. */
  #blankUntil(end: RegExp, extra: number): void {
    end.lastIndex = this.#at + extra;
    const match = end.exec(this.#source);
    const index = match?.index ?? this.#source.length;
    this.#blank(Math.min(index + extra, this.#source.length));
  }

  #quoted(quote: string): void {
    this.#keep(1);
    let end = this.#at;
    while (end < this.#source.length && this.#source[end] !== quote) {
      end += this.#source[end] === '\\' ? 2 : 1;
    }
    this.#blank(Math.min(end, this.#source.length));
    this.#keep(1);
  }

  /** From a backtick, or from the brace that ended an expression, to the next one of either. */
  #template(): void {
    this.#keep(1);
    let end = this.#at;
    while (end < this.#source.length) {
      if (this.#source[end] === '`') break;
      if (this.#source.startsWith('${', end)) break;
      end += this.#source[end] === '\\' ? 2 : 1;
    }
    this.#blank(Math.min(end, this.#source.length));
    if (this.#source[this.#at] === '`') {
      this.#keep(1);
    } else {
      this.#keep(2);
      this.#templates.push(0);
    }
  }

  #brace(brace: '{' | '}'): void {
    const top = this.#templates.length - 1;
    const depth = this.#templates[top];
    if (depth === undefined) {
      this.#keep(1);
    } else if (brace === '}' && depth === 0) {
      this.#templates.pop();
      this.#template();
    } else {
      this.#templates[top] = depth + (brace === '{' ? 1 : -1);
      this.#keep(1);
    }
  }

  #regexMayStart(): boolean {
    const before = this.#masked.trimEnd();
    const last = before.at(-1);
    if (last === undefined || BEFORE_REGEX.has(last)) return true;
    return KEYWORD_BEFORE_REGEX.test(before.slice(-12));
  }

  #regex(): void {
    this.#keep(1);
    let end = this.#at;
    let inClass = false;
    while (end < this.#source.length && (inClass || this.#source[end] !== '/')) {
      if (this.#source[end] === '[') inClass = true;
      if (this.#source[end] === ']') inClass = false;
      end += this.#source[end] === '\\' ? 2 : 1;
    }
    this.#blank(Math.min(end, this.#source.length));
    this.#keep(1);
  }
}
