/** `GET /admin/v1/workers`: 200 with `{"workers": [...]}`, those that are away too. */
import type { FastifyInstance } from 'fastify';
import type { WorkerAdmin } from '../../../control-plane/workers.ts';
import { viewWorker } from '../../admin-views.ts';

export function listWorkers(server: FastifyInstance, workers: WorkerAdmin): void {
  server.get('/admin/v1/workers', async () => ({ workers: workers.list().map(viewWorker) }));
}
