/** `/v1/budget`: what the client may cost a month, as it chooses itself. */
import { LIMITS } from '../../../../shared/domain/limits.ts';
import { BudgetTerms, parseBudget } from '../../billing-schemas.ts';
import { viewBudget } from '../../billing-views.ts';
import { bodylessEndpoint, endpoint } from '../../endpoint.ts';
import { closedObject } from '../../validation.ts';

const url = '/v1/budget';

export const showOwnBudget = bodylessEndpoint({
  method: 'GET',
  url,
  kind: 'read',
  needs: 'billing:read',
  async run({ billing }, { owner, out }) {
    out.value(viewBudget(await billing.showBudget(owner)));
  },
});

export const putOwnBudget = endpoint({
  method: 'PUT',
  url,
  kind: 'write',
  needs: 'billing:manage',
  bodyBytesMax: LIMITS.adminBodyBytesMax,
  body: BudgetTerms,
  async run({ billing }, { owner, body, out }) {
    out.value(viewBudget(await billing.putBudget(owner, parseBudget(body))));
  },
});

export const removeOwnBudget = bodylessEndpoint({
  method: 'DELETE',
  url,
  kind: 'write',
  needs: 'billing:manage',
  query: closedObject({}),
  run({ billing }, { owner, out }) {
    out.value(viewBudget(billing.removeBudget(owner)));
  },
});
