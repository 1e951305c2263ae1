/** The whole of a log of which only the last part is kept at any time: read often enough. */

/** So many characters stand nowhere else in a log of lines with times. */
const OVERLAP_CHARS = 500;

export class WholeLog {
  readonly #tail: () => string;
  #text = '';

  constructor(tail: () => string) {
    this.#tail = tail;
  }

  get text(): string {
    return this.#text;
  }

  /** Throws when something between this look and the one before was missed. */
  read(): void {
    const tail = this.#tail();
    const known = this.#text.slice(-OVERLAP_CHARS);
    const at = known === '' ? 0 : tail.lastIndexOf(known);
    if (at === -1) throw new Error('the log went on by more than is kept of it');
    this.#text += tail.slice(at + known.length);
  }
}
