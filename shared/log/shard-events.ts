/** Events about the files of shards, at workers; part of the table of `events.ts`. */
export const SHARD_EVENTS = {
  shard_opened: {
    level: 'info',
    fields: {
      shardId: 'text',
      source: 'text',
      points: 'number',
      replayed: 'number',
      version: 'number',
      ms: 'number',
    },
    help: 'a shard is in memory; replayed rows were newer than its image',
  },
  shard_rebuilt: {
    level: 'warn',
    fields: { shardId: 'text', reason: 'text', points: 'number', ms: 'number' },
    help: 'a shard had no usable image and was read again from its rows',
  },
  shard_trapped: {
    level: 'error',
    fields: { shardId: 'text', error: 'error' },
    help: 'the search kernel failed in the memory of a shard, which its next request reads anew',
  },
  shard_suspected: {
    level: 'warn',
    fields: { shardId: 'text' },
    help: 'the process died while the shard was being opened, or it was released; it is opened alone',
  },
  shard_quarantined: {
    level: 'error',
    fields: { shardId: 'text' },
    help: 'opening the shard alone ended the process again: it is not opened until it is released',
  },
  shard_damaged: {
    level: 'error',
    fields: { shardId: 'text', requestId: 'text', error: 'error' },
    help: 'what is on the disk is not what was written: the shard is not served until it is mended',
  },
  shard_released: {
    level: 'warn',
    fields: { shardId: 'text' },
    help: 'a shard in quarantine may be opened again, or a damaged one was mended and is served',
  },
  shard_frozen: {
    level: 'info',
    fields: { shardId: 'text', bytes: 'number', ms: 'number' },
    help: 'the files of a paused shard were moved to the cold disk; bytes there',
  },
  shard_thawed: {
    level: 'info',
    fields: { shardId: 'text', bytes: 'number', ms: 'number' },
    help: 'a request needed a shard on the cold disk, and its files were brought back',
  },
  cold_scrub_failed: {
    level: 'error',
    fields: { shardId: 'text', error: 'error' },
    help: 'a shard on the cold disk was read, and its files are not there or not what was written',
  },
  shard_dropped: {
    level: 'info',
    fields: { shardId: 'text' },
    help: 'a shard and its files are gone',
  },
  shard_failed: {
    level: 'error',
    fields: { shardId: 'text', place: 'text', folder: 'text', error: 'error' },
    help: 'a shard could not be found, opened, caught up or served; folder is below the data folder',
  },
  image_saved: {
    level: 'info',
    fields: { shardId: 'text', version: 'number', bytes: 'number', ms: 'number' },
    help: 'an index image is on disk',
  },
  image_refused: {
    level: 'warn',
    fields: { shardId: 'text', reason: 'text' },
    help: 'an index image failed its check and is not used; the shard is rebuilt from its rows',
  },
  image_save_failed: {
    level: 'warn',
    fields: { shardId: 'text', error: 'error' },
    help: 'an index image could not be written; the rows are safe, the next start is slower',
  },
  ledger_failed: {
    level: 'error',
    fields: { pending: 'number', error: 'error' },
    help: 'the ledger can not be written; what waits is kept and tried again, and requests are refused once that is much',
  },
  ledger_recovered: {
    level: 'info',
    fields: {},
    help: 'the ledger is written again, and lacks nothing',
  },
  anchor_failed: {
    level: 'error',
    fields: { error: 'error' },
    help: 'heads of audit chains could not be signed and anchored; it is tried again after a minute',
  },
  change_log_failed: {
    level: 'error',
    fields: { error: 'error' },
    help: 'what operators changed could not be carried to the audit chains; it waits in control.db and is tried again',
  },
  audit_broken: {
    level: 'error',
    fields: { chain: 'text', reason: 'text', sequence: 'number', at: 'text', end: 'number' },
    help: 'an audit chain is not what was signed at that time: it was edited, cut, pruned without a checkpoint, or an older ledger.db was put in its place; anchors: their newest file is missing',
  },
  audit_pruned: {
    level: 'info',
    fields: { chain: 'text', entries: 'number' },
    help: 'entries of an audit chain that are older than it is kept were pruned, behind a signed checkpoint',
  },
  audit_prune_failed: {
    level: 'error',
    fields: { chain: 'text', error: 'error' },
    help: 'an audit chain could not be pruned; it is tried again within an hour',
  },
  census_taken: {
    level: 'info',
    fields: { census: 'text', collections: 'number', shards: 'number', unknown: 'number' },
    help: 'a census was archived and is in the ledger; of so many shards nothing new is known, because no copy in sync answered',
  },
  census_waits: {
    level: 'warn',
    fields: { census: 'text', unknown: 'number' },
    help: 'no copy in sync of so many shards has answered the census of the day; they are asked again until its end',
  },
  census_failed: {
    level: 'error',
    fields: { census: 'text', error: 'error' },
    help: 'a census could not be taken, archived or entered; it is tried again after a minute',
  },
  metering_failed: {
    level: 'warn',
    fields: { shardId: 'text', attempt: 'number', delayMs: 'number', error: 'error' },
    help: 'what writes of a shard came to could not be carried to the ledger; it waits at the shard and is tried again',
  },
  metering_lost: {
    level: 'error',
    fields: { shardId: 'text', version: 'number', error: 'error' },
    help: 'a shard was erased whose files could not be read; the ledger has its writes up to that version',
  },
  writer_failed: {
    level: 'error',
    fields: { writer: 'number', pending: 'number', error: 'error' },
    help: 'a writer thread ended; its pending writes were rejected and it was started again',
  },
  disk_full: {
    level: 'error',
    fields: { place: 'text', reserveBytes: 'number' },
    help: 'growing writes are refused until space is back; place is the folder that met it first',
  },
  disk_failed: {
    level: 'error',
    fields: { place: 'text', error: 'error' },
    help: 'a write or a sync failed; the shard in the folder takes writes when its log can be settled',
  },
} as const;
