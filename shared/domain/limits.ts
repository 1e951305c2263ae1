/**
 * Every bound of the system, with its reason, in one place. The relations between bounds are
 * asserted when this file loads, so that a change which breaks one cannot start.
 */
import { assert } from '../base/assert.ts';

const MIB = 2 ** 20;

export const LIMITS = {
  /** One HTTP body. The dialect's own default is 32 MiB. */
  bodyBytesMax: 32 * MIB,
  /** Nesting of JSON, checked before the parse: V8 recurses, and so do filters and payloads. */
  jsonDepthMax: 64,
  /** Arrays and objects of one JSON text: empty, they take twenty times their text in memory. */
  jsonContainersMax: 1_000_000,
  /** Largest vector; a point with one takes 32 KiB. */
  dimensionMax: 8_192,
  /** Points of one upsert, ids of one delete, retrieve or payload change. */
  batchPointsMax: 10_000,
  /** Searches of one query batch. */
  batchQueriesMax: 128,
  /** Hits of one search, `limit` + `offset`: both are collected by the worker. */
  searchHitsMax: 16_384,
  /** Candidates of one diverse search: its cost is their number squared times the dimension. */
  mmrCandidatesMax: 256,
  /** Components of all candidates of one request: 16 MiB that the worker sends for its answer. */
  mmrComponentsMax: 4 * MIB,
  /** Points of one scroll page. */
  scrollLimitMax: 10_000,
  /** Candidates the graph search keeps; beyond this an exact scan is cheaper. */
  hnswEfMax: 16_384,
  hnswMMax: 128,
  hnswEfConstructMax: 2_048,
  /** Nested groups of one filter. */
  filterDepthMax: 16,
  /** Conditions of one filter, all levels together. */
  filterConditionsMax: 1_024,
  /** Values of one `match any`, `match except` or `has_id`. */
  filterValuesMax: 10_000,
  /** A collection's name in UTF-8; the limit of a file name on Linux. */
  collectionNameBytesMax: 255,
  /** A payload key path, for example `a.b[].c`. */
  payloadPathBytesMax: 1_024,
  /** One point's payload. */
  payloadBytesMax: MIB,
  /** Payload indexes of one collection. */
  payloadIndexesMax: 64,
  /** Copies of one shard: with more, writes wait for the slowest of many. */
  replicasMax: 7,
  /** Collections of one client and mode, whatever its plan says. */
  collectionsPerClientMax: 10_000,
  /** Shards of one collection: as many parts as a few machines have cores. Each answers each query, so
   * with more the work that is not searching would grow beyond that which is. */
  shardsPerCollectionMax: 64,
  /** Shards of one client and mode: each takes files, memory and a place at a worker. */
  shardsPerClientMax: 10_000,
  /** Test data of one client, which no plan bounds: enough to try things out, not a disk. */
  testCollectionsMax: 1_000,
  testPointsMax: 1_000_000,
  testBytesMax: 4 * 1024 * MIB,
  /** Requests of one client that may be under way at once, whatever its plan says. */
  clientInFlightMax: 2_048,
  /** Bodies of one client's requests that are under way: four of the largest. */
  clientBodyBytesMax: 128 * MIB,
  /** Bodies of all requests that are under way; parsed, they take several times as much. */
  bodiesBytesMax: 512 * MIB,
  /** So much of each body does not count towards all: small requests pass when large ones wait. */
  smallBodyBytesMax: 64 * 1024,
  /** Requests under way to one worker. */
  workerInFlightMax: 1_024,
  /** Bytes of requests that a worker has read and not begun with. */
  requestBytesQueuedMax: 256 * MIB,
  /** Bytes of requests under way to one worker: the largest frame, and what many send meanwhile. Small
   * requests pass when large ones wait; their number bounds them. */
  linkBufferedBytesMax: 128 * MIB,
  /** The same while the worker gives no sign of life: it may be long, and nothing comes of it. */
  muteLinkBytesMax: 8 * MIB,
  /** Bytes of answers that may wait in a worker's socket: those of several shards to one request. */
  answersBufferedBytesMax: 256 * MIB,
  /** One frame on the link between coordinator and worker. */
  frameBytesMax: 96 * MIB,
  /** Payloads and vectors of one reply; more is refused, not cut off. */
  replyBytesMax: 64 * MIB,
  /** The same of what all shards of a collection reply to one request. None knows which of its points
   * are among the nearest of all, so together they send more than the answer holds. */
  gatheredBytesMax: 256 * MIB,
  /** Handshake messages come before trust, so they are small. */
  helloBytesMax: 16 * 1024,
  /** Tombstones kept per shard for a replica that catches up; older ones mean a full copy. */
  tombstonesMax: 100_000,
  /** Points of one digest of a range: some tens of milliseconds of a worker, in slices. */
  rangePointsMax: 10_000,
  /** Points of one page between replicas, and removed ids beside them: several times what is read. */
  pagePointsMax: 2_000,
  /** Rows of one report of usage. */
  usageRowsMax: 10_000,
  /** Lines of one statement, and intervals that it is divided into: decades of days. */
  statementLinesMax: 20_000,
  /** Levels of a budget that are told of, and the highest of them in percent. */
  budgetLevelsMax: 10,
  budgetPercentMax: 1_000,
  /** Censuses on demand of one day: each asks every shard, and leaves an archive. */
  censusesOnDemandPerDayMax: 24,
  /** Collections of one page of what a census says of a client: each may have 64 shards with 7 copies. */
  censusPageMax: 200,
  /** Entries that wait for the ledger: some seconds of requests, and of memory some tens of MiB. */
  ledgerEntriesMax: 100_000,
  /** Lines that are appended to one file of audit anchors: a start reads the newest, in some tenths of a second. */
  anchorsFileBytesMax: 4 * MIB,
  /** Writes of one shard that wait for a commit. */
  shardWritesQueuedMax: 4_096,
  /** Bytes of all writes of a worker that wait for a commit: each is copied for its thread. */
  writeBytesQueuedMax: 256 * MIB,
  /** Name of a client or of a key, in UTF-16 units. */
  adminNameCharsMax: 128,
  /** The name of a zone: a column of a table. */
  zoneCharsMax: 64,
  /** One body of the admin API. */
  adminBodyBytesMax: 64 * 1024,
  /** Clients or keys of one page of the admin API. */
  adminPageMax: 1_000,
  /** API keys of one client and mode that are not revoked, whatever its plan says. */
  keysPerClientMax: 10_000,
  /** How long a client that is deleted may still be restored. */
  clientGraceSecondsMax: 90 * 24 * 3_600,
  /** Namespaces that one key is bound to; a key without a bound may touch all. */
  keyNamespacesMax: 100,
  /** Notices are kept so long when all that they led to is done; then a repetition would be told again. */
  noticeDaysMax: 90,
  /** Texts of a notice, in UTF-16 units; what is longer is cut. */
  noticeTextCharsMax: 500,
  /** Mail addresses of one client, and those of the operators. */
  mailRecipientsMax: 10,
  /** Mails to one address in an hour; what is more waits, and is told in one. */
  mailsPerAddressHourMax: 10,
  /** Mails to all addresses of one client in an hour. */
  mailsPerClientHourMax: 60,
  /** All mails in a minute: what a mail server takes without wondering. */
  mailsPerMinuteMax: 60,
  /** Notices that one mail tells in full; of more it tells the number. */
  digestNoticesMax: 100,
  /** Webhooks of one client, and of the operators. */
  webhooksPerOwnerMax: 10,
  webhookUrlCharsMax: 2_048,
  /** How long the secret of a webhook before a rotation signs, too. */
  webhookGraceSecondsMax: 7 * 24 * 3_600,
  /** Webhooks that are called at once, and of these those of one owner. */
  webhookCallsMax: 64,
  webhookCallsPerOwnerMax: 2,
  /** Of what a receiver answers so much is read, and thrown away. */
  webhookAnswerBytesMax: 16 * 1024,
  /** How long the secret before a rotation may still hold. */
  keyGraceSecondsMax: 7 * 24 * 3_600,
} as const;

// A JSON number takes at least two bytes ("0,") and becomes four, so a body at most doubles.
assert(
  2 * LIMITS.bodyBytesMax + 4 * MIB <= LIMITS.frameBytesMax,
  'the largest body fits one frame once its numbers are float32',
);
assert(
  LIMITS.payloadBytesMax + 4 * LIMITS.dimensionMax < LIMITS.replyBytesMax,
  'the largest point fits one reply',
);
assert(LIMITS.replyBytesMax + 4 * MIB < LIMITS.frameBytesMax, 'the largest reply fits one frame');
assert(LIMITS.replyBytesMax <= LIMITS.gatheredBytesMax, 'one shard may reply all that is wanted');
assert(LIMITS.frameBytesMax < LIMITS.linkBufferedBytesMax, 'a full frame may wait in the socket');
assert(
  LIMITS.muteLinkBytesMax < LIMITS.linkBufferedBytesMax,
  'a mute worker gets less than others',
);
assert(
  LIMITS.gatheredBytesMax <= LIMITS.answersBufferedBytesMax,
  'all that one request may gather fits the socket of a worker that holds all shards',
);
assert(LIMITS.frameBytesMax <= LIMITS.requestBytesQueuedMax, 'a full frame may wait in the queue');
assert(LIMITS.bodyBytesMax <= LIMITS.clientBodyBytesMax, 'a client may send the largest body');
assert(LIMITS.clientBodyBytesMax < LIMITS.bodiesBytesMax, 'no client fills the process alone');
assert(
  LIMITS.clientInFlightMax * LIMITS.smallBodyBytesMax <= LIMITS.clientBodyBytesMax,
  'a client may have all its requests under way when they are small',
);
assert(
  LIMITS.collectionsPerClientMax <= LIMITS.shardsPerClientMax,
  'every collection that a client may have may have a shard',
);
assert(LIMITS.searchHitsMax <= LIMITS.hnswEfMax, 'ef can be as large as the hits wanted');
assert(LIMITS.filterDepthMax < LIMITS.jsonDepthMax, 'a legal filter passes the depth scan');
assert(
  LIMITS.mmrCandidatesMax * LIMITS.dimensionMax <= LIMITS.mmrComponentsMax,
  'one diverse search of the largest vectors is allowed',
);
assert(4 * LIMITS.mmrComponentsMax < LIMITS.replyBytesMax, 'diverse candidates fit one reply');
assert(
  LIMITS.webhookCallsPerOwnerMax < LIMITS.webhookCallsMax,
  'no owner takes all places of calls to webhooks',
);
assert(16 * LIMITS.batchPointsMax < LIMITS.jsonContainersMax, 'payloads of a batch may nest');
