/** `GET /admin/v1/plans`: 200 with `{"plans": [...]}`, all of them. */
import type { FastifyInstance } from 'fastify';
import type { PlanAdmin } from '../../../control-plane/plans.ts';
import { viewPlan } from '../../admin-views.ts';

export function listPlans(server: FastifyInstance, plans: PlanAdmin): void {
  server.get('/admin/v1/plans', async () => ({ plans: plans.list().map(viewPlan) }));
}
