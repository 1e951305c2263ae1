/** The times by which replicas are judged, each with its reason. */
export interface ReplicationTiming {
  /**
   * A replica that has not written so long after the first that has is late, and leaves those in
   * sync: its shard's writers wait for it. Longer than a sync of a slow disk and a pause of a garbage
   * collection, shorter than the patience of a caller. Of a write that takes longer, the others have as
   * long again as the first.
   */
  lagMs: number;
  /**
   * A coordinator that starts waits so long for all workers that hold a shard before it goes on with
   * those that are there: a worker that lost its coordinator dials again within a second.
   */
  startGraceMs: number;
  /** For one comparison of replicas: a few short reads at each. */
  settleTimeoutMs: number;
  /**
   * So long after a write, what it came to is carried to the ledger, with what others have come to
   * since: bills need not be newer, and a shard has hardly more notes to keep.
   */
  carryAfterMs: number;
}

export const REPLICATION_TIMING: ReplicationTiming = {
  lagMs: 1_000,
  startGraceMs: 1_500,
  settleTimeoutMs: 5_000,
  carryAfterMs: 1_000,
};
