/** What requests say of webhooks and mail recipients, in the admin API and in a client's own. */
import Type from 'typebox';
import { LIMITS } from '../../shared/domain/limits.ts';
import { NOTICES } from '../../shared/domain/notices.ts';
import { Limit, parseLimit } from './page-query.ts';
import { closedObject, formedText, nullable } from './validation.ts';

const Types = Type.Array(Type.String(), { maxItems: Object.keys(NOTICES).length });
const grace = Type.Integer({ minimum: 0, maximum: LIMITS.webhookGraceSecondsMax });

export const NewWebhookBody = closedObject({ url: Type.String(), types: nullable(Types) });
export const WebhookUpdateBody = closedObject({
  url: Type.Optional(Type.String()),
  types: nullable(Types),
  enabled: Type.Optional(Type.Boolean()),
});
/** A body may be left out. */
export const WebhookRotateBody = nullable(closedObject({ grace_seconds: nullable(grace) }));
export const ReplayBody = nullable(
  closedObject({ delivery_id: nullable(Type.Integer({ minimum: 1 })) }),
);
export const RecipientsBody = closedObject({
  mail: Type.Array(closedObject({ address: Type.String(), types: nullable(Types) }), {
    maxItems: LIMITS.mailRecipientsMax,
  }),
});

/** The newest first, so that it goes on with what is before the last one. */
export const newestQuery = {
  limit: Limit,
  before: formedText('^[0-9]{1,15}$', 'must be the number that "next" gave'),
};

export function parseNewestQuery(query: {
  limit?: string | undefined;
  before?: string | undefined;
}) {
  const { before } = query;
  return {
    limit: parseLimit(query.limit),
    before: before === undefined ? undefined : Number(before),
  };
}
