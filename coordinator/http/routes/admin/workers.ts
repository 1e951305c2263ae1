import Type from 'typebox';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { Status, Worker } from '../../admin-schemas.ts';
import { viewStatus, viewWorker } from '../../admin-views.ts';
import { closedObject } from '../../validation.ts';

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
    name: 'getStatus',
    help: 'count what the whole installation has',
    method: 'GET',
    url: '/admin/v1/status',
    reply: Status,
    run: ({ workers }) => viewStatus(workers.status()),
  }),
];
