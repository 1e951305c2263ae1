/**
 * `PUT /admin/v1/plans/{plan} {"limits", "prices"}`: 200 with the plan, which is made if it was not
 * there. All limits and all prices; they hold for its clients at once.
 */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { PlanAdmin } from '../../../control-plane/plans.ts';
import { viewPlan } from '../../admin-views.ts';
import { ifVersion, sendVersioned } from '../../etag.ts';
import { originOf } from '../../origin.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

const Params = closedObject({ plan: Type.String() });
const Terms = Type.Record(Type.String(), Type.Unknown());
const Body = closedObject({ limits: Terms, prices: Terms });

export function putPlan(server: FastifyInstance, plans: PlanAdmin): void {
  server.put<{ Params: SchemaValue<typeof Params>; Body: SchemaValue<typeof Body> }>(
    '/admin/v1/plans/:plan',
    { schema: { params: Params, body: Body } },
    async (request, reply) => {
      const terms = { ...request.body, ifVersion: ifVersion(request) };
      const plan = plans.put(originOf(request), request.params.plan, terms);
      return sendVersioned(reply, plan.version, viewPlan(plan));
    },
  );
}
