/** `GET /admin/v1/plans/{plan}`: 200 with the plan. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { PlanAdmin } from '../../../control-plane/plans.ts';
import { viewPlan } from '../../admin-views.ts';
import { sendVersioned } from '../../etag.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

const Params = closedObject({ plan: Type.String() });

export function showPlan(server: FastifyInstance, plans: PlanAdmin): void {
  server.get<{ Params: SchemaValue<typeof Params> }>(
    '/admin/v1/plans/:plan',
    { schema: { params: Params } },
    async (request, reply) => {
      const plan = plans.show(request.params.plan);
      return sendVersioned(reply, plan.version, viewPlan(plan));
    },
  );
}
