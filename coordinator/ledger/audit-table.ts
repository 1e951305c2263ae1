/**
 * The audit chains (`shared/crypto/audit-chain.ts`) in `ledger.db`: one for each client and one for
 * operators. The entries that a chain gets in one batch stand together in a page,
 *
 *   page    first .. last, prev_hash --entries, a line each--> hash = prev_hash of the next
 *   chain   sequence and hash of its last entry
 *
 * so that an entry costs its hash and its text, and a batch a row for each of its chains. No two pages can
 * follow the same one: `UNIQUE (chain, prev_hash)`.
 */
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import { chainStart, nextHash } from '../../shared/crypto/audit-chain.ts';
import type { AuditFilter, AuditPage, AuditTexts, ChainHead, ExportPart } from './entries.ts';

interface PageRow {
  first: number;
  last: number;
  prevHash: string;
  entries: string;
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

  /** Within a transaction. The records of each chain follow its last entry, in their order; how many there are. */
  append(texts: AuditTexts): number {
    let count = 0;
    for (const [chain, records] of texts) count += this.#appendPage(chain, records);
    return count;
  }

  #appendPage(chain: string, records: string): number {
    const before = this.#heads.get(chain) ?? this.head(chain);
    let { sequence, hash } = before;
    const lines = records.split('\n').map((record) => {
      sequence += 1;
      const line = record.replace('\0', String(sequence));
      hash = nextHash(hash, line);
      return line;
    });
    const first = before.sequence + 1;
    this.#sql.addPage.run(chain, first, sequence, before.hash, hash, lines.join('\n'));
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

  /** The hash of an entry as its page has it; undefined when there is no such entry (any more). */
  hashAt(chain: string, sequence: number): string | undefined {
    if (sequence === 0) return chainStart(chain);
    const page = this.#sql.pageOf.get(chain, sequence);
    if (page === undefined || page.first > sequence) return undefined;
    return must(hashesOf(page)[sequence - page.first], 'a page has all its entries');
  }

  /** Entries after one that fit, as canonical JSON. `next` is where to go on; null: there are no more. */
  list(chain: string, { after, limit, ...filter }: AuditFilter): AuditPage {
    const found: string[] = [];
    let next = after;
    let scanned = 0;
    for (const page of this.#pagesAfter(chain, after)) {
      for (const [i, line] of page.entries.split('\n').entries()) {
        const sequence = page.first + i;
        if (sequence <= after) continue;
        if (found.length === limit || scanned === SCANNED_MAX) return { entries: found, next };
        scanned += 1;
        next = sequence;
        if (fits(line, filter)) found.push(line);
      }
    }
    return { entries: found, next: null };
  }

  /** Lines of an export: entries after one, up to another, with their hashes; as many as fit a part. */
  exportPart(chain: string, { after, until }: { after: number; until: number }): ExportPart {
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
    setHead: db.prepare<[string, number, string]>(
      `INSERT INTO audit_chains (chain, sequence, hash) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET sequence = excluded.sequence, hash = excluded.hash`,
    ),
    addPage: db.prepare<[string, number, number, string, string, string]>(
      `INSERT INTO audit_pages (chain, first, last, prev_hash, hash, entries)
         VALUES (?, ?, ?, ?, ?, ?)`,
    ),
    pageOf: db.prepare<[string, number], PageRow>(
      `SELECT ${PAGE} FROM audit_pages WHERE chain = ? AND last >= ? ORDER BY last LIMIT 1`,
    ),
    nextPage: db.prepare<[string, number], PageRow>(
      `SELECT ${PAGE} FROM audit_pages WHERE chain = ? AND last > ? ORDER BY last LIMIT 1`,
    ),
  };
}
