/**
 * What Node is told when it runs a worker. V8 would let the young generation of its heap grow to
 * 134 MB under load, in each worker. A worker's vectors are outside that heap; with a quarter of it,
 * a worker of 10,000 open shards takes 50 MB less.
 */
export const WORKER_NODE_FLAGS = ['--max-semi-space-size=16'] as const;
