/**
 * The audit chains (`shared/crypto/audit-chain.ts`) in `ledger.db`: one for each client and one for
 * operators. The entries that a chain gets in one batch stand together in a page,
 *
 *   page        first .. last, prev_hash --entries, a line each--> hash = prev_hash of the next
 *   chain       sequence and hash of its last entry
 *   checkpoint  the last entry that was pruned: what is before it is not there, though pages may be
 *
 * so that an entry costs its hash and its text, and a batch a row for each of its chains. No two pages can
 * follow the same one: `UNIQUE (chain, prev_hash)`.
 */
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import { chainStart, nextHash } from '../../shared/crypto/audit-chain.ts';
import type { SignedCheckpoint } from '../../shared/crypto/signed-lines.ts';
import type { AuditFilter, AuditPage, AuditTexts, ChainHead, ExportPart } from './entries.ts';

interface PageRow {
  first: number;
  last: number;
  prevHash: string;
  entries: string;
}

/** Where a page is, without what is in it. */
export interface PagePlace {
  first: number;
  last: number;
  prevHash: string;
  hash: string;
  writtenAt: number;
}

/** Entries that one answer looks at, and bytes of one part of an export: some milliseconds each. */
const SCANNED_MAX = 5_000;
const EXPORT_BYTES = 512 * 1024;

export class AuditTable {
  readonly #sql: ReturnType<typeof prepareStatements>;
  /** Of chains that were written to, as they are in the transaction. */
  readonly #heads = new Map<string, ChainHead>();

  constructor(db: Database.Database) {
    this.#sql = prepareStatements(db);
  }

  /** To be called when a transaction was rolled back. */
  forget(): void {
    this.#heads.clear();
  }

  /** Within a transaction, at `now`. The records of each chain follow its last entry, in their order; how many
   * there are. */
  append(texts: AuditTexts, now: number): number {
    let count = 0;
    for (const [chain, records] of texts) count += this.#appendPage(chain, records, now);
    return count;
  }

  #appendPage(chain: string, records: string, now: number): number {
    const before = this.#heads.get(chain) ?? this.head(chain);
    let { sequence, hash } = before;
    const lines = records.split('\n').map((record) => {
      sequence += 1;
      const line = record.replace('\0', String(sequence));
      hash = nextHash(hash, line);
      return line;
    });
    const first = before.sequence + 1;
    this.#sql.addPage.run(chain, first, sequence, before.hash, hash, now, lines.join('\n'));
    this.#sql.setHead.run(chain, sequence, hash);
    this.#heads.set(chain, { sequence, hash });
    return lines.length;
  }

  /** Of a chain that has no entry: its beginning. */
  head(chain: string): ChainHead {
    return this.#sql.head.get(chain) ?? { sequence: 0, hash: chainStart(chain) };
  }

  /** Every chain that has entries, by name. */
  chains(): (ChainHead & { chain: string })[] {
    return this.#sql.chains.all();
  }

  /** Names of chains after one. */
  names(after: string, limit: number): string[] {
    return this.#sql.names.all(after, limit);
  }

  /** Up to where a chain was pruned. */
  checkpoint(chain: string): SignedCheckpoint | undefined {
    const line = this.#sql.checkpoint.get(chain);
    return line === undefined ? undefined : (JSON.parse(line) as SignedCheckpoint);
  }

  /** Within a transaction. */
  setCheckpoint(signed: SignedCheckpoint): void {
    const { chain, sequence } = signed.checkpoint;
    this.#sql.setCheckpoint.run(chain, sequence, JSON.stringify(signed));
  }

  /** What the entries that are kept follow. */
  begin(chain: string): ChainHead {
    return this.checkpoint(chain)?.checkpoint ?? { sequence: 0, hash: chainStart(chain) };
  }

  /** Pages after an entry, in their order. */
  places(chain: string, after: number, limit: number): PagePlace[] {
    return this.#sql.places.all(chain, after, limit);
  }

  /** Entries of the page that ends with that one, as canonical JSON. */
  entriesOf(chain: string, last: number): string[] {
    return this.#sql.pageOf.get(chain, last)?.entries.split('\n') ?? [];
  }

  /** Removes pages up to an entry, so many, and but for the first so many bytes, at most; how many those were. */
  remove(chain: string, until: number, { pages, bytes }: { pages: number; bytes: number }): number {
    const found = this.#sql.oldest.all(chain, until, pages);
    let size = 0;
    const fitting = found.filter((page, i) => {
      size += page.bytes;
      return i === 0 || size <= bytes;
    });
    const last = fitting.at(-1)?.last;
    if (last !== undefined) this.#sql.remove.run(chain, last);
    return fitting.length;
  }

  /** The hash of an entry as its page has it; undefined when there is no such entry (any more). */
  hashAt(chain: string, sequence: number): string | undefined {
    const begin = this.begin(chain);
    if (sequence <= begin.sequence) return sequence === begin.sequence ? begin.hash : undefined;
    const page = this.#sql.pageOf.get(chain, sequence);
    if (page === undefined || page.first > sequence) return undefined;
    return must(hashesOf(page)[sequence - page.first], 'a page has all its entries');
  }

  /** Entries after one that fit, as canonical JSON. `next` is where to go on; null: there are no more. */
  list(chain: string, { after: wanted, limit, ...filter }: AuditFilter): AuditPage {
    const found: string[] = [];
    const { sequence: pruned } = this.begin(chain);
    const after = Math.max(wanted, pruned);
    const keptFrom = pruned + 1;
    let next = after;
    let scanned = 0;
    for (const page of this.#pagesAfter(chain, after)) {
      for (const [i, line] of page.entries.split('\n').entries()) {
        const sequence = page.first + i;
        if (sequence <= after) continue;
        if (found.length === limit || scanned === SCANNED_MAX) {
          return { entries: found, next, keptFrom };
        }
        scanned += 1;
        next = sequence;
        if (fits(line, filter)) found.push(line);
      }
    }
    return { entries: found, next: null, keptFrom };
  }

  /** Lines of an export: entries after one, up to another, with their hashes; as many as fit a part. Undefined
   * when they were pruned. */
  exportPart(
    chain: string,
    { after, until }: { after: number; until: number },
  ): ExportPart | undefined {
    if (after < this.begin(chain).sequence) return undefined;
    const lines: string[] = [];
    let bytes = 0;
    let next = after;
    for (const page of this.#pagesAfter(chain, after)) {
      const hashes = hashesOf(page);
      for (const [i, line] of page.entries.split('\n').entries()) {
        next = page.first + i;
        if (next > until) return { text: lines.join(''), next: null };
        if (next <= after) continue;
        lines.push(`${line.slice(0, -1)},"hash":"${hashes[i]}"}\n`);
        bytes += line.length;
      }
      const isEnd = next >= until;
      if (isEnd || bytes >= EXPORT_BYTES)
        return { text: lines.join(''), next: isEnd ? null : next };
    }
    return { text: lines.join(''), next: null };
  }

  *#pagesAfter(chain: string, after: number): Iterable<PageRow> {
    for (let from = after; ; ) {
      const page = this.#sql.nextPage.get(chain, from);
      if (page === undefined) return;
      yield page;
      from = page.last;
    }
  }
}

function hashesOf({ prevHash, entries }: PageRow): string[] {
  let hash = prevHash;
  return entries.split('\n').map((line) => {
    hash = nextHash(hash, line);
    return hash;
  });
}

function fits(
  line: string,
  { action, actor, target, from, until }: Omit<AuditFilter, 'after' | 'limit'>,
): boolean {
  const entry = JSON.parse(line) as Record<string, unknown>;
  const at = Date.parse(String(entry.at));
  if (from !== undefined && at < from) return false;
  if (until !== undefined && at >= until) return false;
  if (action !== undefined && entry.action !== action) return false;
  if (actor !== undefined && entry.actor !== actor) return false;
  return target === undefined || entry.target === target;
}

const PAGE = 'first, last, prev_hash AS prevHash, entries';

function prepareStatements(db: Database.Database) {
  return {
    head: db.prepare<[string], ChainHead>(
      'SELECT sequence, hash FROM audit_chains WHERE chain = ?',
    ),
    chains: db.prepare<[], ChainHead & { chain: string }>(
      'SELECT chain, sequence, hash FROM audit_chains ORDER BY chain',
    ),
    names: db
      .prepare<[string, number], string>(
        'SELECT chain FROM audit_chains WHERE chain > ? ORDER BY chain LIMIT ?',
      )
      .pluck(),
    checkpoint: db
      .prepare<[string], string>('SELECT line FROM audit_checkpoints WHERE chain = ?')
      .pluck(),
    setCheckpoint: db.prepare<[string, number, string]>(
      'INSERT OR REPLACE INTO audit_checkpoints (chain, sequence, line) VALUES (?, ?, ?)',
    ),
    places: db.prepare<[string, number, number], PagePlace>(
      `SELECT first, last, prev_hash AS prevHash, hash, written_at AS writtenAt
         FROM audit_pages WHERE chain = ? AND last > ? ORDER BY last LIMIT ?`,
    ),
    oldest: db.prepare<[string, number, number], { last: number; bytes: number }>(
      `SELECT last, octet_length(entries) AS bytes
         FROM audit_pages WHERE chain = ? AND last <= ? ORDER BY last LIMIT ?`,
    ),
    remove: db.prepare<[string, number]>('DELETE FROM audit_pages WHERE chain = ? AND last <= ?'),
    setHead: db.prepare<[string, number, string]>(
      `INSERT INTO audit_chains (chain, sequence, hash) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash`,
    ),
    addPage: db.prepare<[string, number, number, string, string, number, string]>(
      `INSERT INTO audit_pages (chain, first, last, prev_hash, hash, written_at, entries)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    pageOf: db.prepare<[string, number], PageRow>(
      `SELECT ${PAGE} FROM audit_pages WHERE chain = ? AND last >= ? ORDER BY last LIMIT 1`,
    ),
    nextPage: db.prepare<[string, number], PageRow>(
      `SELECT ${PAGE} FROM audit_pages WHERE chain = ? AND last > ? ORDER BY last LIMIT 1`,
    ),
  };
}
