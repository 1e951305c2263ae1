/** `DELETE /admin/v1/plans/{plan}`: 200 with what the plan was; 409 while clients are on it. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { PlanAdmin } from '../../../control-plane/plans.ts';
import { viewPlan } from '../../admin-views.ts';
import { ifVersion } from '../../etag.ts';
import { originOf } from '../../origin.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

const Params = closedObject({ plan: Type.String() });

export function removePlan(server: FastifyInstance, plans: PlanAdmin): void {
  server.delete<{ Params: SchemaValue<typeof Params> }>(
    '/admin/v1/plans/:plan',
    { schema: { params: Params } },
    async (request) => {
      const expected = { ifVersion: ifVersion(request) };
      return viewPlan(plans.remove(originOf(request), request.params.plan, expected));
    },
  );
}
