/** What the admin API answers of notices, webhooks and mail recipients, as JSON Schema. */
import Type, { type TSchema } from 'typebox';
import { NOTICES } from '../../shared/domain/notices.ts';
import { DELIVERY_KINDS, DELIVERY_STATES } from '../store/notice-deliveries.ts';
import { DISABLED_REASONS } from '../store/webhooks.ts';
import { closedObject } from './validation.ts';

const Time = Type.String({ format: 'date-time', description: 'UTC' });
const orNull = (schema: TSchema) => Type.Union([schema, Type.Null()]);
const NoticeName = Type.Enum(Object.keys(NOTICES));
const Types = orNull(Type.Array(NoticeName, { description: 'what it hears of; null: all' }));

const webhookFields = {
  webhook_id: Type.String(),
  client_id: orNull(Type.String({ description: "null: the operators'" })),
  url: Type.String(),
  types: Types,
  enabled: Type.Boolean(),
  disabled_reason: orNull(Type.Enum([...DISABLED_REASONS])),
  old_secret_ends_at: orNull(Time),
  failing_since: orNull(Time),
  version: Type.Integer({ minimum: 1, description: 'raised with each change; the ETag' }),
  created_at: Time,
};
export const Webhook = closedObject(webhookFields);
export const WebhookWithSecret = closedObject({
  ...webhookFields,
  secret: Type.String({ description: 'what signatures are checked with, shown this once' }),
});

const fate = {
  delivery_id: Type.Integer({ minimum: 1 }),
  state: Type.Enum([...DELIVERY_STATES]),
  attempts: Type.Integer({ minimum: 0 }),
  next_at: orNull(Time),
  last_at: orNull(Time),
  status: orNull(Type.Integer({ description: 'what the other side answered last' })),
  problem: orNull(Type.String({ description: 'in a word, what went wrong' })),
};
export const WebhookDelivery = closedObject({
  event_id: Type.String(),
  type: NoticeName,
  ...fate,
});
export const Notice = closedObject({
  sequence: Type.Integer({ minimum: 1 }),
  event_id: Type.String(),
  type: NoticeName,
  client_id: orNull(Type.String()),
  data: Type.Object({}, { description: 'the fields of its type' }),
  at: Time,
  deliveries: Type.Array(
    closedObject({
      kind: Type.Enum([...DELIVERY_KINDS]),
      to: Type.String({ description: 'operators, or the id of a client' }),
      target: Type.String({ description: 'id of a webhook, or the shape of a mail address' }),
      ...fate,
    }),
  ),
});
export const Recipients = closedObject({
  mail_enabled: Type.Boolean({ description: 'whether there is a mail server' }),
  mail: Type.Array(closedObject({ address: Type.String(), types: Types })),
});
export const Told = closedObject({
  told: Type.Boolean({ description: 'false: one was asked for in the same minute' }),
});
export const Replayed = closedObject({ replayed: Type.Integer({ minimum: 0 }) });
