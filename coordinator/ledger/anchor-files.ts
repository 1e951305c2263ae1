/**
 * The files that anchors are in. Lines are only ever appended to the newest; when it is full another one begins, and
 * with that the one before is closed:
 *
 *   audit-anchors-000001.jsonl    {"file": {number: 1, closed: null, ...}} lines ...
 *   audit-anchors-000002.jsonl    {"file": {number: 2, closed: SHA-256 of file 1, ...}} carried lines, lines ...
 *
 * A file in which a crash has left a line in part is closed as well, so that such lines are at the end of a file only.
 *
 * What is carried is the last line of each chain, so the newest file says all that a start needs, and closed ones
 * can be kept elsewhere or removed. A file is there whole, with its beginning, or not at all: it is written under
 * another name first. `ledger.db` has the number of the newest, so it is found when that one is taken away.
 */
import { createHash, type Hash, type KeyObject } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { syncFolder } from '../../shared/base/durable-folder.ts';
import { isSigned, parseSigned, signFileStart } from '../../shared/crypto/signed-lines.ts';

export interface AnchorFilesOptions {
  folder: string;
  keys: { private: KeyObject; public: KeyObject };
  /** Bytes that are appended to one file, but for the last lines. */
  bytesMax: number;
  /** The newest that there was. */
  newest: number;
  /** Another one has begun. */
  begun: (number: number) => void;
}

interface OpenFile {
  descriptor: number;
  /** Of all bytes of it. */
  digest: Hash;
  appendedBytes: number;
}

const NAME = /^audit-anchors-([0-9]{6,15})\.jsonl$/;
const UNFINISHED = 'audit-anchors.new';

export class AnchorFiles {
  readonly #options: AnchorFilesOptions;
  #number = 0;
  #open: OpenFile | undefined;
  /** Its lines, until they were taken. */
  #found: string[] = [];
  #isSound = true;
  /** Whether a line of the newest is there in part. */
  #isTorn = false;

  /** Throws what the disk does. */
  constructor(options: AnchorFilesOptions) {
    this.#options = options;
    const { folder, newest, begun } = options;
    this.#number = newestIn(folder);
    if (this.#number === 0) return;
    this.#openNewest();
    try {
      // The process that began it died before the database knew.
      if (this.#number > newest) begun(this.#number);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The number of the newest that is there; 0: there is none. */
  get number(): number {
    return this.#number;
  }

  /** Whether the newest that there was is there, and begins as it should. */
  get isSound(): boolean {
    return this.#isSound && this.#number >= this.#options.newest;
  }

  /** The lines of the newest file as it was found. */
  takeLines(): string[] {
    const lines = this.#found;
    this.#found = [];
    return lines;
  }

  close(): void {
    if (this.#open !== undefined) closeSync(this.#open.descriptor);
    this.#open = undefined;
  }

  /** Durable on return. `carried`: the last line of each chain, for a file that begins now. */
  append(lines: readonly string[], at: string, carried: () => string[]): void {
    const file = this.#isFull ? this.#begin(at, carried()) : (this.#open ?? this.#begin(at, []));
    // What a crash has left in part ends where a line begins, and does not reach into one that was whole.
    const text = `\n${lines.join('\n')}\n`;
    // All of it or an error: a full disk takes the beginning of a write.
    writeFileSync(file.descriptor, text);
    fsyncSync(file.descriptor);
    file.digest.update(text);
    file.appendedBytes += Buffer.byteLength(text);
  }

  /** Or is not the one that lines belong into. */
  get #isFull(): boolean {
    const { bytesMax, newest } = this.#options;
    if (this.#open === undefined) return false;
    return this.#number < newest || this.#isTorn || this.#open.appendedBytes >= bytesMax;
  }

  #begin(at: string, carried: readonly string[]): OpenFile {
    const { folder, keys, newest, begun } = this.#options;
    const number = Math.max(this.#number, newest) + 1;
    const closed = this.#open?.digest.copy().digest('hex') ?? null;
    const start = signFileStart({ at, carried: carried.length, closed, number }, keys.private);
    const text = `${[JSON.stringify(start), ...carried].join('\n')}\n`;
    const unfinished = path.join(folder, UNFINISHED);
    const descriptor = openSync(unfinished, 'w', 0o600);
    try {
      writeFileSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(unfinished, path.join(folder, nameOf(number)));
    syncFolder(folder);
    this.close();
    this.#number = number;
    this.#isTorn = false;
    this.#open = { descriptor: this.#descriptor(), digest: createHash('sha256'), appendedBytes: 0 };
    this.#open.digest.update(text);
    begun(number);
    return this.#open;
  }

  #descriptor(): number {
    return openSync(path.join(this.#options.folder, nameOf(this.#number)), 'a+', 0o600);
  }

  #openNewest(): void {
    const descriptor = this.#descriptor();
    try {
      // What a process that died has written may not be on the disk.
      fsyncSync(descriptor);
      const bytes = readFileSync(path.join(this.#options.folder, nameOf(this.#number)));
      const lines = bytes.toString('utf8').split('\n');
      const start = parseSigned('file', lines[0] ?? '');
      const isStart = start !== undefined && isSigned('file', start, this.#options.keys.public);
      this.#isSound = isStart && start.file.number === this.#number;
      const begun = lines.slice(0, 1 + (start?.file.carried ?? 0)).join('\n');
      this.#isTorn = lines.some((line) => line !== '' && !isWhole(line));
      const appendedBytes = bytes.length - Buffer.byteLength(begun);
      const digest = createHash('sha256').update(bytes);
      this.#open = { descriptor, digest, appendedBytes };
      this.#found = lines;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }
}

function isWhole(line: string): boolean {
  try {
    JSON.parse(line);
    return true;
  } catch {
    return false;
  }
}

function nameOf(number: number): string {
  return `audit-anchors-${String(number).padStart(6, '0')}.jsonl`;
}

function newestIn(folder: string): number {
  const numbers = readdirSync(folder).map((name) => Number(NAME.exec(name)?.[1] ?? 0));
  return numbers.reduce((a, b) => Math.max(a, b), 0);
}
