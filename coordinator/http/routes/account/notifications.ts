/** `/v1/notifications`: who of the client gets mail, and of what. */
import { LIMITS } from '../../../../shared/domain/limits.ts';
import { bodylessEndpoint, endpoint } from '../../endpoint.ts';
import { RecipientsBody } from '../../notify-bodies.ts';
import { viewRecipients } from '../../notify-views.ts';

const needs = 'notices:manage';
const url = '/v1/notifications';

export const showOwnRecipients = bodylessEndpoint({
  method: 'GET',
  url,
  kind: 'read',
  needs,
  run({ account, notices }, { owner, out }) {
    account.checkLive(owner);
    out.value(viewRecipients(notices.recipients(owner.clientId)));
  },
});

export const setOwnRecipients = endpoint({
  method: 'PUT',
  url,
  kind: 'write',
  needs,
  bodyBytesMax: LIMITS.adminBodyBytesMax,
  body: RecipientsBody,
  run({ account, notices }, { owner, body: { mail }, out }) {
    const origin = account.beginChange(owner);
    out.value(viewRecipients(notices.setRecipients(origin, owner.clientId, mail)));
  },
});

export const testOwnMail = bodylessEndpoint({
  method: 'POST',
  url: `${url}/test`,
  kind: 'write',
  needs,
  run({ account, notices }, { owner, out }) {
    const { actor } = account.beginChange(owner);
    out.value({ told: notices.test(actor, owner.clientId) });
  },
});
