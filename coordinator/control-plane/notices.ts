/**
 * Notices as operators see them, and who of a client gets mail. Addresses of people are in no log and in no
 * audit log: those say how many there are.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { parseMailAddress } from '../notify/mail-address.ts';
import { type Notifier, OPERATORS } from '../notify/notifier.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { MailRecipient } from '../store/mail-recipients.ts';
import type { DeliveryRecord } from '../store/notice-deliveries.ts';
import type { NoticeFilter, NoticeRecord } from '../store/notices.ts';
import { type Owner, parseNoticeTypes, TEST_EVERY_MS } from './webhooks.ts';

export interface NoticeView extends NoticeRecord {
  deliveries: DeliveryRecord[];
}

export interface NoticeAdminDeps {
  store: Pick<
    ControlStore,
    'clients' | 'notices' | 'noticeDeliveries' | 'mailRecipients' | 'audited' | 'afterCommit'
  >;
  notifier: Pick<Notifier, 'test' | 'mailTargets' | 'hasMail'>;
  clock: Clock;
  log: Log;
}

export interface RecipientInput {
  address: string;
  types?: readonly string[] | null | undefined;
}

export class NoticeAdmin {
  readonly #deps: NoticeAdminDeps;

  constructor(deps: NoticeAdminDeps) {
    this.#deps = deps;
  }

  /** The newest first; `next` is the number that `before` continues from. */
  list({
    before,
    limit = LIMITS.adminPageMax,
    ...filter
  }: { before?: number | undefined; limit?: number } & NoticeFilter): {
    items: NoticeView[];
    next: number | null;
  } {
    const { store } = this.#deps;
    const found = store.notices.page(before, limit + 1, filter);
    const notices = found.slice(0, limit);
    const bySequence = new Map<number, DeliveryRecord[]>();
    for (const delivery of store.noticeDeliveries.of(notices.map(({ sequence }) => sequence))) {
      bySequence.set(delivery.sequence, [...(bySequence.get(delivery.sequence) ?? []), delivery]);
    }
    const items = notices.map((notice) => {
      return { ...notice, deliveries: bySequence.get(notice.sequence) ?? [] };
    });
    return { items, next: found.length > limit ? (items.at(-1)?.sequence ?? null) : null };
  }

  /** Whether mail is sent at all, and to whom of a client. Throws `not_found`. */
  recipients(clientId: string): { hasMail: boolean; recipients: MailRecipient[] } {
    const { store, notifier } = this.#deps;
    const client = this.#client(clientId);
    return { hasMail: notifier.hasMail, recipients: store.mailRecipients.of(client) };
  }

  /**
   * Takes the place of all recipients; what waits for those that are none any more is dropped. Throws
   * `not_found`, `InvalidInput`.
   */
  setRecipients(origin: Origin, clientId: string, wanted: readonly RecipientInput[]) {
    const { store, log } = this.#deps;
    const after = parseRecipients(wanted, clientId as ClientId);
    store.audited(origin, () => {
      const client = this.#client(clientId);
      const before = store.mailRecipients.of(client);
      store.mailRecipients.replace(client, after);
      for (const { address } of before) {
        if (after.some((recipient) => recipient.address === address)) continue;
        store.noticeDeliveries.drop(client, address);
      }
      return {
        action: 'recipients.update',
        target: clientId,
        before: { recipients: before.length },
        after: { recipients: after.length },
        result: undefined,
      };
    });
    store.afterCommit(() => {
      log.event('recipients_changed', { clientId, recipients: after.length });
    });
    return this.recipients(clientId);
  }

  /**
   * Mails a test to all recipients, once a minute at most: false for a repetition. Throws `conflict` when there
   * is no mail or nobody to get it.
   */
  test(askedBy: string, owner: Owner): boolean {
    const { notifier, clock } = this.#deps;
    if (!notifier.hasMail) throw new AppError('conflict', 'the operator has set no mail server');
    const targets = notifier.mailTargets(owner ?? OPERATORS);
    if (targets.length === 0) throw new AppError('conflict', 'there are no mail recipients');
    const key = `mail:${Math.floor(clock.now() / TEST_EVERY_MS)}`;
    return notifier.test({ clientId: owner, key, askedBy }, targets);
  }

  #client(clientId: string): ClientId {
    const client = this.#deps.store.clients.get(clientId as ClientId);
    if (client === undefined) throw new AppError('not_found', 'there is no such client');
    return client.clientId;
  }
}

function parseRecipients(wanted: readonly RecipientInput[], owner: ClientId): MailRecipient[] {
  const parsed = wanted.map(({ address, types }, i): MailRecipient => {
    const known = parseMailAddress(address);
    if (known === undefined) {
      throw new InvalidInput(`mail[${i}].address`, 'must be a mail address like name@example.com');
    }
    return { address: known, types: parseNoticeTypes(types ?? null, owner, `mail[${i}].types`) };
  });
  const twice = parsed.findIndex(({ address }, i) => {
    return parsed.findIndex((other) => other.address === address) < i;
  });
  if (twice === -1) return parsed;
  throw new InvalidInput(`mail[${twice}].address`, 'is there twice');
}
