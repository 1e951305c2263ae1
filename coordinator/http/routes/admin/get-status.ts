/** `GET /admin/v1/status`: 200 with counts of the whole installation. */
import type { FastifyInstance } from 'fastify';
import type { WorkerAdmin } from '../../../control-plane/workers.ts';
import { viewStatus } from '../../admin-views.ts';

export function getStatus(server: FastifyInstance, workers: WorkerAdmin): void {
  server.get('/admin/v1/status', async () => viewStatus(workers.status()));
}
