import Type from 'typebox';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { Plan, PlanTerms } from '../../admin-schemas.ts';
import { viewPlan } from '../../admin-views.ts';
import { closedObject } from '../../validation.ts';

const Terms = Type.Record(Type.String(), Type.Unknown());

export const PLAN_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'listPlans',
    help: 'list all plans',
    method: 'GET',
    url: '/admin/v1/plans',
    reply: closedObject({ plans: Type.Array(Plan) }),
    run: ({ plans }) => ({ plans: plans.list().map(viewPlan) }),
  }),
  adminEndpoint({
    name: 'showPlan',
    help: 'show a plan',
    method: 'GET',
    url: '/admin/v1/plans/:plan',
    reply: Plan,
    run: ({ plans }, { params }) => viewPlan(plans.show(params.plan)),
  }),
  adminEndpoint({
    name: 'putPlan',
    help: 'make a plan or replace its terms, for its clients at once',
    method: 'PUT',
    url: '/admin/v1/plans/:plan',
    body: closedObject({ limits: Terms, prices: Terms }),
    bodyDescription: PlanTerms,
    reply: Plan,
    run({ plans }, { origin, params, ifVersion, ifAbsent, body }) {
      return viewPlan(plans.put(origin, params.plan, { ...body, ifVersion, ifAbsent }));
    },
  }),
  adminEndpoint({
    name: 'removePlan',
    help: 'remove a plan that no client is on',
    method: 'DELETE',
    url: '/admin/v1/plans/:plan',
    reply: Plan,
    run({ plans }, { origin, params, ifVersion }) {
      return viewPlan(plans.remove(origin, params.plan, { ifVersion }));
    },
  }),
];
