/**
 * The version that both ends of a link must share. It stands in the first byte of every frame and
 * in the hello, together with the hash of everything the version promises (`schema-hash.ts`).
 *
 * 1  first version: shards, points, payload changes, queries
 * 2  a shard's configuration names its search engine
 * 3  vectors may be left on disk
 * 4  a write may be given a room to grow in, and answers what its shard holds; `shard-usage`
 * 5  what searches and changes by filter looked at is told
 * 6  the coordinator gives each write its version; a digest of what a shard holds; the feed by which
 *    one replica is levelled with another; a search by vector can leave a point out; a write that
 *    takes effect once, and one that can be undone; requests can be cancelled; `worker-status`,
 *    `shard-release`
 * 7  writes say on whose account they are, and shards what writes came to; `meter-read`
 * 8  `shard-freeze`; a shard may be cold
 * 9  what each replica holds and takes of its worker; `shard-census`
 * 10 deletes and changes of payloads answer how many points they deleted or changed; frames carry the id of
 *    the HTTP request that they are a part of
 */
export const PROTOCOL_VERSION = 10;
