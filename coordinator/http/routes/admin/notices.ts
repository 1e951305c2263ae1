import Type from 'typebox';
import type { ClientId } from '../../../../shared/base/ids.ts';
import { NOTICES, type NoticeType } from '../../../../shared/domain/notices.ts';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { pageSchema } from '../../admin-schemas.ts';
import { newestQuery, parseNewestQuery, RecipientsBody } from '../../notify-bodies.ts';
import { Notice, Recipients, Told } from '../../notify-schemas.ts';
import { viewNotice, viewRecipients } from '../../notify-views.ts';
import { closedObject, formedText } from '../../validation.ts';

const RECIPIENTS = '/admin/v1/clients/:client/notifications';

export const NOTICE_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'listNotices',
    help: 'list what operators and clients were told, the newest first, and what became of it',
    method: 'GET',
    url: '/admin/v1/notices',
    query: closedObject({
      ...newestQuery,
      type: Type.Optional(Type.Enum(Object.keys(NOTICES))),
      client: formedText('^cl_[a-z2-7]{16}$', 'must be the id of a client'),
    }),
    reply: pageSchema('notices', Notice, Type.Integer()),
    run({ notices }, { query: { type, client, ...query } }) {
      const filter = { type: type as NoticeType, clientId: client as ClientId };
      const page = notices.list({ ...parseNewestQuery(query), ...filter });
      return { notices: page.items.map(viewNotice), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'testMail',
    help: 'mail a test to the operators, once a minute at most',
    method: 'POST',
    url: '/admin/v1/notices/test',
    reply: Told,
    run: ({ notices }, { origin }) => ({ told: notices.test(origin.actor, null) }),
  }),
  adminEndpoint({
    name: 'showRecipients',
    help: 'show who of a client gets mail, and of what',
    method: 'GET',
    url: RECIPIENTS,
    reply: Recipients,
    run: ({ notices }, { params }) => viewRecipients(notices.recipients(params.client)),
  }),
  adminEndpoint({
    name: 'setRecipients',
    help: 'say who of a client gets mail, and of what; takes the place of all that were there',
    method: 'PUT',
    url: RECIPIENTS,
    body: RecipientsBody,
    reply: Recipients,
    run({ notices }, { origin, params, body: { mail } }) {
      return viewRecipients(notices.setRecipients(origin, params.client, mail));
    },
  }),
];
