/**
 * Holds a chain as the database has it against what was signed of it:
 *
 *   pruned, as its checkpoint says | kept .................... end
 *                                  ^                     ^
 *                                  follows it            the entry of the head, unless it was pruned since
 */
import type { KeyObject } from 'node:crypto';
import {
  type AuditCheckpoint,
  type AuditHead,
  isSigned,
  type SignedCheckpoint,
} from '../../shared/crypto/signed-lines.ts';
import type { AuditTable } from './audit-table.ts';
import type { BrokenChain } from './entries.ts';

export interface SignedBefore {
  head: AuditHead;
  /** The last one. */
  checkpoint: AuditCheckpoint | undefined;
}

/** Why the chain is not what was signed; undefined: it is. */
export function chainProblem(
  table: AuditTable,
  { head, checkpoint }: SignedBefore,
  key: KeyObject,
): BrokenChain['reason'] | undefined {
  const { chain } = head;
  if (!isCheckpointRight(table.checkpoint(chain), chain, { checkpoint, key })) return 'checkpoint';
  if (!isBeginningThere(table, chain)) return 'beginning';
  const { sequence } = table.begin(chain);
  if (table.head(chain).sequence < head.sequence) return 'entry';
  const isThere = head.sequence < sequence || table.hashAt(chain, head.sequence) === head.hash;
  return isThere ? undefined : 'entry';
}

/** It is signed, of this chain, and no older one than there was. */
function isCheckpointRight(
  found: SignedCheckpoint | undefined,
  chain: string,
  { checkpoint, key }: { checkpoint: AuditCheckpoint | undefined; key: KeyObject },
): boolean {
  if (found === undefined) return checkpoint === undefined;
  if (!isSigned('checkpoint', found, key) || found.checkpoint.chain !== chain) return false;
  if (checkpoint === undefined || found.checkpoint.sequence > checkpoint.sequence) return true;
  return (
    found.checkpoint.sequence === checkpoint.sequence && found.checkpoint.hash === checkpoint.hash
  );
}

function isBeginningThere(table: AuditTable, chain: string): boolean {
  const begin = table.begin(chain);
  const [first] = table.places(chain, begin.sequence, 1);
  const next = first ?? { first: table.head(chain).sequence + 1, prevHash: table.head(chain).hash };
  return next.first === begin.sequence + 1 && next.prevHash === begin.hash;
}
