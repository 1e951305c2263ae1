import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { Budget, BudgetTerms, parseBudget } from '../../billing-schemas.ts';
import { viewBudget } from '../../billing-views.ts';

const url = '/admin/v1/clients/:client/budget';

export const BUDGET_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'showBudget',
    help: 'show what a client may cost a month, and what is spent of it',
    method: 'GET',
    url,
    reply: Budget,
    async run({ clients, billing }, { params }) {
      const { clientId } = clients.show(params.client);
      return viewBudget(await billing.budgets.show(clientId));
    },
  }),
  adminEndpoint({
    name: 'putBudget',
    help: 'set what a client may cost a month, when it is told, and what is paused then',
    method: 'PUT',
    url,
    body: BudgetTerms,
    reply: Budget,
    async run({ clients, billing }, { origin, params, body, ifVersion, ifAbsent }) {
      const { clientId } = clients.show(params.client);
      const budget = { ...parseBudget(body), ifVersion, ifAbsent };
      return viewBudget(await billing.budgets.put(origin, clientId, budget));
    },
  }),
  adminEndpoint({
    name: 'removeBudget',
    help: 'remove the budget of a client, and lift what it has paused',
    method: 'DELETE',
    url,
    reply: Budget,
    run({ clients, billing }, { origin, params, ifVersion }) {
      const { clientId } = clients.show(params.client);
      return viewBudget(billing.budgets.remove(origin, clientId, { ifVersion }));
    },
  }),
];
