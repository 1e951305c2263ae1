/**
 * Takes pages of audit chains away that are older than the chain is kept, in steps of some milliseconds, so that
 * what is appended meanwhile does not wait. Nothing goes before it is proved what went:
 *
 *   old pages? --> one transaction: a checkpoint for the last of their entries, signed, and an entry that tells of
 *                  it in the chain and in the operators' -> the checkpoint is anchored -> pages go, some at a time
 *
 * From the checkpoint on, entries up to it are not there for any reader, though some of their pages may be. A
 * process that dies in between goes on where it was: first the anchor, if the checkpoint has none, then what is
 * left of the pages. A chain is pruned once a day at most, and the entry that tells of a pruning is not enough
 * for another one.
 */
import type { KeyObject } from 'node:crypto';
import type Database from 'better-sqlite3';
import { entryText } from '../../shared/crypto/audit-chain.ts';
import { type SignedCheckpoint, signCheckpoint } from '../../shared/crypto/signed-lines.ts';
import type { AuditAnchors } from './audit-anchors.ts';
import type { AuditTable, PagePlace } from './audit-table.ts';
import { auditTextsOf, OPERATORS_CHAIN, type Pruned, type PruneStep } from './entries.ts';

export interface AuditPruningDeps {
  db: Database.Database;
  table: AuditTable;
  anchors: Pick<AuditAnchors, 'anchorCheckpoint'>;
  key: KeyObject;
  /** Entries were appended. */
  appended: (count: number) => void;
}

const DAY_MS = 24 * 3_600_000;
const ACTION = 'audit.prune';
const ACTOR = 'retention';
/** Pages of one checkpoint: to look for them takes some milliseconds. */
const CHECKPOINT_PAGES = 1_000;
/** Pages and bytes that go in one step: `secure_delete` writes zeros over them. */
const STEP = { pages: 64, bytes: 1024 * 1024 };

export class AuditPruning {
  readonly #deps: AuditPruningDeps;

  constructor(deps: AuditPruningDeps) {
    this.#deps = deps;
  }

  /** One step; durable on return. Throws what SQLite and the disk do. */
  step({ chain, before, now }: PruneStep): Pruned {
    const { table, anchors } = this.#deps;
    const signed = table.checkpoint(chain);
    if (signed !== undefined) {
      anchors.anchorCheckpoint(signed);
      if (this.#removeOld(signed)) return { entries: 0, more: true };
      const age = now - Date.parse(signed.checkpoint.at);
      if (age > 0 && age < DAY_MS) return { entries: 0, more: false };
    }
    const last = this.#lastOld(chain, before);
    if (last === undefined) return { entries: 0, more: false };
    return { entries: this.#mark(chain, last, now), more: true };
  }

  /** Some of what the checkpoint is for; whether there was any. */
  #removeOld({ checkpoint: { chain, sequence } }: SignedCheckpoint): boolean {
    return this.#deps.table.remove(chain, sequence, STEP) > 0;
  }

  /** The last of the pages from the oldest on that were all written before; undefined: there is none. */
  #lastOld(chain: string, before: number): PagePlace | undefined {
    const { table } = this.#deps;
    const { sequence } = table.begin(chain);
    const places = table.places(chain, sequence, CHECKPOINT_PAGES);
    const kept = places.findIndex(({ writtenAt }) => writtenAt >= before);
    const old = kept < 0 ? places : places.slice(0, kept);
    const last = old.at(-1);
    const [only] = old.length === 1 && last !== undefined ? table.entriesOf(chain, last.last) : [];
    const isTelling =
      last?.last === sequence + 1 && only?.includes(`"action":"${ACTION}"`) === true;
    return isTelling ? undefined : last;
  }

  /** How many entries are gone by it. */
  #mark(chain: string, { last: sequence, hash }: PagePlace, now: number): number {
    const { db, table, key, anchors, appended } = this.#deps;
    const at = new Date(now).toISOString();
    const pruned = sequence - table.begin(chain).sequence;
    const signed = signCheckpoint({ at, chain, hash, pruned, sequence }, key);
    const what = {
      action: ACTION,
      actor: ACTOR,
      at,
      entries: pruned,
      outcome: 'done',
      until: sequence,
    };
    const chains = new Set([chain, OPERATORS_CHAIN]);
    const records = [...chains].map((own) => {
      return { chain: own, ...entryText({ ...what, chain: own, target: chain }) };
    });
    const mark = db.transaction(() => {
      appended(table.append(auditTextsOf(records), now));
      table.setCheckpoint(signed);
    });
    try {
      mark.immediate();
    } catch (error) {
      table.forget();
      throw error;
    }
    anchors.anchorCheckpoint(signed);
    return pruned;
  }
}
