/**
 * Looks for secrets in whatever a service leaves behind: any 12 characters of them in a row, and any
 * 20 in a row encoded. A place where one was found is told by its name; the secret itself never is.
 */

/** Longer than what is stored of a key in the clear, its prefix of 8 characters. */
const WINDOW_CHARS = 12;
/** There are many ways to encode, so of the windows only every eighth is looked for in all. */
const ENCODED_STEP = 8;

interface Needle {
  bytes: Buffer;
  form: string;
}

export class SecretSearch {
  readonly #needles = new Map<string, Needle[]>();
  readonly #found: string[] = [];
  #places = 0;

  /** From now on `secret` is looked for; `name` stands for it in what is told. */
  add(name: string, secret: string): void {
    const windows = windowsOf(secret);
    const encoded = windows.filter((_, at) => at % ENCODED_STEP === 0).flatMap(encodingsOf);
    const plain = windows.map((text, at) => ({ form: `from ${at} on`, bytes: Buffer.from(text) }));
    this.#needles.set(name, [...plain, ...encoded]);
  }

  /** Where secrets were found so far. */
  get found(): readonly string[] {
    return this.#found;
  }

  /** How many places were looked at. */
  get places(): number {
    return this.#places;
  }

  /** Looks at what stands in `place`; the secrets of `allowed` may be there. */
  look(place: string, content: Buffer | string, allowed: readonly string[] = []): void {
    this.#places += 1;
    for (const name of this.namesIn(content)) {
      if (!allowed.some((one) => name.startsWith(`${one} `))) this.#found.push(`${name} ${place}`);
    }
  }

  /** The secrets that are in it, each with the first form that was met: `token (hex) in`. */
  namesIn(content: Buffer | string): string[] {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content;
    return [...this.#needles].flatMap(([name, needles]) => {
      const met = needles.find((needle) => bytes.includes(needle.bytes));
      return met === undefined ? [] : [`${name} (${met.form}) in`];
    });
  }
}

function windowsOf(secret: string): string[] {
  const count = secret.length - WINDOW_CHARS + 1;
  return Array.from({ length: count }, (_, at) => secret.slice(at, at + WINDOW_CHARS));
}

function encodingsOf(text: string): Needle[] {
  const hex = Buffer.from(text).toString('hex');
  const percent = hex.replace(/../g, '%$&');
  const texts = {
    hex,
    'hex, upper case': hex.toUpperCase(),
    percent,
    'percent, upper case': percent.toUpperCase(),
  };
  const plain = Object.entries(texts).map(([form, of]) => ({ form, bytes: Buffer.from(of) }));
  const wide = { form: 'UTF-16', bytes: Buffer.from(text, 'utf16le') };
  return [...plain, wide, ...base64Of(text)];
}

/** Three bytes become four characters, so what a text looks like hangs on where it begins. */
function base64Of(text: string): Needle[] {
  return [0, 1, 2].flatMap((before) => {
    const whole = Buffer.from('\0'.repeat(before) + text);
    const from = Math.ceil((before * 4) / 3);
    const to = Math.floor((whole.length * 4) / 3);
    const form = `base64, ${before} bytes behind`;
    return (['base64', 'base64url'] as const).map((encoding) => {
      return { form, bytes: Buffer.from(whole.toString(encoding).slice(from, to)) };
    });
  });
}
