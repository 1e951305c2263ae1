import Type from 'typebox';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { ReleasedShard, Status, Worker } from '../../admin-schemas.ts';
import { viewStatus, viewWorker } from '../../admin-views.ts';
import { closedObject, nullable } from '../../validation.ts';

export const WORKER_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'listWorkers',
    help: 'list workers, those that are away too',
    method: 'GET',
    url: '/admin/v1/workers',
    reply: closedObject({ workers: Type.Array(Worker) }),
    run: ({ workers }) => ({ workers: workers.list().map(viewWorker) }),
  }),
  adminEndpoint({
    name: 'showWorker',
    help: 'show a worker',
    method: 'GET',
    url: '/admin/v1/workers/:worker',
    reply: Worker,
    run: ({ workers }, { params }) => viewWorker(workers.show(params.worker)),
  }),
  adminEndpoint({
    name: 'updateWorker',
    help: 'say what fails together with a worker, or whose data alone it holds; null takes it back',
    method: 'PATCH',
    url: '/admin/v1/workers/:worker',
    body: closedObject({ zone: nullable(Type.String()), dedicated_to: nullable(Type.String()) }),
    reply: Worker,
    run({ workers }, { origin, params, ifVersion, body: { zone, dedicated_to: dedicatedTo } }) {
      return viewWorker(workers.update(origin, params.worker, { zone, dedicatedTo, ifVersion }));
    },
  }),
  adminEndpoint({
    name: 'drainWorker',
    help: 'move all that a worker holds to others, and give it nothing new; repeatable',
    method: 'POST',
    url: '/admin/v1/workers/:worker/drain',
    reply: Worker,
    run({ workers }, { origin, params, ifVersion }) {
      return viewWorker(workers.drain(origin, params.worker, { ifVersion }));
    },
  }),
  adminEndpoint({
    name: 'resumeWorker',
    help: 'let a worker that was drained hold shards again; repeatable',
    method: 'POST',
    url: '/admin/v1/workers/:worker/resume',
    reply: Worker,
    run({ workers }, { origin, params, ifVersion }) {
      return viewWorker(workers.resume(origin, params.worker, { ifVersion }));
    },
  }),
  adminEndpoint({
    name: 'releaseShard',
    help: 'let a worker open a quarantined shard again',
    method: 'POST',
    url: '/admin/v1/workers/:worker/shards/:shard/release',
    reply: ReleasedShard,
    async run({ workers }, { origin, params: { worker, shard } }) {
      await workers.releaseShard(origin, { workerId: worker, shardId: shard });
      return { worker_id: worker, shard_id: shard, state: 'released' };
    },
  }),
  adminEndpoint({
    name: 'getStatus',
    help: 'count what the whole installation has',
    method: 'GET',
    url: '/admin/v1/status',
    reply: Status,
    run: ({ workers }) => viewStatus(workers.status()),
  }),
];
