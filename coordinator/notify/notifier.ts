/**
 * Tells notices (`shared/domain/notices.ts`). A notice and one delivery for each of its targets are one
 * transaction of `control.db`, part of the caller's when there is one; from there the senders take them up:
 *
 *   tell -> notices: once for type, client and key -> notice_deliveries -> mail-sender     one mail each
 *                                                                       -> webhook-sender  one call each
 *
 * Targets are those of this moment: what is told before a webhook is there does not reach it.
 */
import { assert } from '../../shared/base/assert.ts';
import { type ClientId, type NoticeId, randomId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import {
  type Audience,
  NOTICES,
  type Notice,
  type NoticeType,
} from '../../shared/domain/notices.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { MailRecipient } from '../store/mail-recipients.ts';
import type { Target } from '../store/notice-deliveries.ts';

/** The owner of what is the operators'. */
export const OPERATORS = '';

export interface NotifierDeps {
  store: Pick<
    ControlStore,
    'notices' | 'noticeDeliveries' | 'webhooks' | 'mailRecipients' | 'transaction' | 'afterCommit'
  >;
  random: Pick<SecureRandom, 'bytes'>;
  log: Log;
  /** Whom of the operators mail goes to; undefined when there is no mail at all. */
  mail: { operators: readonly string[] } | undefined;
}

export class Notifier {
  readonly #deps: NotifierDeps;
  readonly #listeners: (() => void)[] = [];

  constructor(deps: NotifierDeps) {
    this.#deps = deps;
  }

  /** Calls it when there is something new to deliver and that is durable. */
  onTold(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /**
   * Durable on return, or with the transaction that it is called in. False when it was told before, or is
   * about a client that is gone. Its data are exactly the fields of its type.
   */
  tell(notice: Notice): boolean {
    return this.#record(notice, () => this.#targetsOf(notice));
  }

  /** Tells a test to these alone; false when that was done before under this key. */
  test(about: { clientId: ClientId | null; key: string; askedBy: string }, to: Target[]): boolean {
    const { askedBy, ...rest } = about;
    return this.#record({ type: 'notify.test', ...rest, data: { asked_by: askedBy } }, () => to);
  }

  /** Mail addresses of an owner that hear of that type, or all of them. */
  mailTargets(owner: ClientId | typeof OPERATORS, type?: NoticeType): Target[] {
    const { store, mail } = this.#deps;
    if (mail === undefined) return [];
    const recipients: MailRecipient[] =
      owner === OPERATORS
        ? mail.operators.map((address) => ({ address, types: null }))
        : store.mailRecipients.of(owner as ClientId);
    return recipients
      .filter(({ types }) => hears(types, type))
      .map(({ address }) => ({ kind: 'mail', owner, target: address }));
  }

  /** Whether there is mail at all. */
  get hasMail(): boolean {
    return this.#deps.mail !== undefined;
  }

  #record(notice: Notice, targetsOf: () => Target[]): boolean {
    const { store, random, log } = this.#deps;
    const { type } = notice;
    const known = checked(notice);
    return store.transaction(() => {
      const noticeId = randomId<NoticeId>('evt_', random.bytes);
      const record = store.notices.record(known, noticeId);
      if (record === undefined) return false;
      const targets = targetsOf();
      for (const target of targets) store.noticeDeliveries.add(record.sequence, target);
      const clientId = notice.clientId ?? undefined;
      store.afterCommit(() => {
        log.event('notice_told', { type, noticeId, clientId, targets: targets.length });
        for (const listener of this.#listeners) listener();
      });
      return true;
    });
  }

  #targetsOf({ type, clientId }: Notice): Target[] {
    const to: readonly Audience[] = NOTICES[type].to;
    // An address of both gets one mail, and as one of the operators': no client takes that back.
    const owners: (ClientId | typeof OPERATORS)[] = [
      ...(to.includes('operators') ? ([OPERATORS] as const) : []),
      ...(clientId !== null && to.includes('client') ? [clientId] : []),
    ];
    return owners.flatMap((owner) => [
      ...this.#webhooksOf(owner, type),
      ...this.mailTargets(owner, type),
    ]);
  }

  #webhooksOf(owner: ClientId | typeof OPERATORS, type: NoticeType): Target[] {
    const clientId = owner === OPERATORS ? null : (owner as ClientId);
    return this.#deps.store.webhooks
      .page(clientId, '', LIMITS.webhooksPerOwnerMax)
      .filter(({ types, disabled }) => disabled === null && hears(types, type))
      .map(({ webhookId }) => ({ kind: 'webhook', owner, target: webhookId }));
  }
}

function hears(types: readonly NoticeType[] | null, type: NoticeType | undefined): boolean {
  return types === null || type === undefined || types.includes(type);
}

/** With texts of a bounded length. */
function checked(notice: Notice): Notice {
  const { type, key, data } = notice;
  const fields: readonly string[] = NOTICES[type].fields;
  const isWhole = fields.every((field) => data[field] !== undefined);
  assert(isWhole && Object.keys(data).length === fields.length, `${type} has exactly its fields`);
  assert(key.length > 0 && key.length <= LIMITS.noticeTextCharsMax, 'a key is short');
  const entries = Object.entries(data).map(([field, value]) => {
    assert(typeof value !== 'number' || Number.isFinite(value), `${type}.${field} is a number`);
    return [field, typeof value === 'string' ? cut(value) : value] as const;
  });
  return { ...notice, data: Object.fromEntries(entries) };
}

function cut(text: string): string {
  return text.slice(0, LIMITS.noticeTextCharsMax).toWellFormed();
}
