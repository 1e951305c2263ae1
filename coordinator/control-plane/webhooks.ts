/**
 * Webhooks as their owners see them: a client its own, operators theirs (the owner is null). A secret is
 * in the reply that made it and nowhere else in clear. What logs and the audit log say of a URL is its host,
 * because the rest may hold a secret of the receiver.
 *
 *   create --> enabled <---- enabled: true ----+
 *                 |                            |
 *                 +--> disabled: by its owner, its receiver (410), or after days of failures
 */
import type { Clock } from '../../shared/base/clock.ts';
import { type ClientId, randomId, type WebhookId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { type NoticeType, noticeTypesFor } from '../../shared/domain/notices.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { type Notifier, OPERATORS } from '../notify/notifier.ts';
import type { TargetGuard } from '../notify/target-guard.ts';
import type { WebhookSecrets } from '../notify/webhook-secrets.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { DueDelivery } from '../store/notice-deliveries.ts';
import type { WebhookRecord } from '../store/webhooks.ts';
import { checkGrace } from './grace.ts';
import { type Page, pageOf } from './page.ts';
import { checkVersion, type Expected } from './version.ts';

/** Null: the operators. */
export type Owner = ClientId | null;

export interface WebhookAdminDeps {
  store: Pick<
    ControlStore,
    'webhooks' | 'noticeDeliveries' | 'audited' | 'afterCommit' | 'transaction'
  >;
  guard: Pick<TargetGuard, 'check' | 'parse'>;
  secrets: Pick<WebhookSecrets, 'create'>;
  notifier: Pick<Notifier, 'test'>;
  /** Told when something that was dead waits again. */
  revived: () => void;
  random: Pick<SecureRandom, 'bytes'>;
  clock: Clock;
  log: Log;
}

/** Fields that are absent stay as they are. */
export interface WebhookUpdate extends Expected {
  url?: string | undefined;
  /** Null: all that its owner may hear of. */
  types?: readonly string[] | null | undefined;
  enabled?: boolean | undefined;
}

export interface WebhookWithSecret {
  record: WebhookRecord;
  /** Shown once. */
  secret: string;
}

const GRACE_SECONDS_DEFAULT = 24 * 3_600;
/** A test is asked for once in so long; a repetition is no other one. */
export const TEST_EVERY_MS = 60_000;

export class WebhookAdmin {
  readonly #deps: WebhookAdminDeps;

  constructor(deps: WebhookAdminDeps) {
    this.#deps = deps;
  }

  /** To be awaited before a change that sets a URL. Throws `InvalidInput` that says what is wrong with it. */
  async checkUrl(owner: Owner, url: string | undefined): Promise<void> {
    if (url !== undefined) await this.#deps.guard.check(url, { isOperators: owner === null });
  }

  /** Its URL was checked. Throws `InvalidInput`, or `quota_exceeded`. */
  create(
    origin: Origin,
    owner: Owner,
    input: { url: string; types?: readonly string[] | null | undefined },
  ): WebhookWithSecret {
    const { store, secrets, random, guard, log } = this.#deps;
    const types = parseNoticeTypes(input.types ?? null, owner, 'types');
    const { href: url } = guard.parse(input.url);
    const webhookId = randomId<WebhookId>('wh_', random.bytes);
    const { shown: secret, sealed } = secrets.create(webhookId);
    const record = store.audited(origin, () => {
      const max = LIMITS.webhooksPerOwnerMax;
      if (store.webhooks.count(owner) >= max) {
        throw new AppError('quota_exceeded', `there are at most ${max} webhooks: remove one first`);
      }
      const result = store.webhooks.create({
        webhookId,
        clientId: owner,
        url,
        types,
        secret: sealed,
      });
      const after = shownOf(result);
      return { action: 'webhook.create', target: webhookId, before: null, after, result };
    });
    const clientId = owner ?? undefined;
    store.afterCommit(() => {
      log.event('webhook_changed', { webhookId, clientId, action: 'webhook.create' });
    });
    return { record, secret };
  }

  /** By id. */
  list(
    owner: Owner,
    { after = '', limit = LIMITS.adminPageMax }: { after?: string | undefined; limit?: number },
  ): Page<WebhookRecord> {
    const found = this.#deps.store.webhooks.page(owner, after, limit + 1);
    return pageOf(found, limit, ({ webhookId }) => webhookId);
  }

  /** Throws `not_found`, also for one of another owner. */
  show(owner: Owner, webhookId: string): WebhookRecord {
    const found = this.#deps.store.webhooks.find(webhookId);
    if (found !== undefined && found.clientId === owner) return found;
    throw new AppError('not_found', 'there is no such webhook');
  }

  /**
   * Its URL, if there is one, was checked. What waits for one that is disabled is dead, and can be replayed.
   * Throws `not_found`, `InvalidInput` or `precondition_failed`.
   */
  update(origin: Origin, owner: Owner, webhookId: string, update: WebhookUpdate): WebhookRecord {
    const { store, guard } = this.#deps;
    const { url, types, enabled } = update;
    if (url === undefined && types === undefined && enabled === undefined) {
      throw new InvalidInput('', 'nothing to change: give url, types or enabled');
    }
    const parsed = types === undefined ? undefined : parseNoticeTypes(types, owner, 'types');
    const href = url === undefined ? undefined : guard.parse(url).href;
    return this.#change(origin, 'webhook.update', owner, { webhookId, ...update }, (before) => {
      const disabled = enabled === false ? (before.disabled ?? 'owner') : before.disabled;
      if (enabled === false) {
        store.noticeDeliveries.end({ kind: 'webhook', target: webhookId }, 'dead');
      }
      return store.webhooks.change(before, {
        url: href ?? before.url,
        types: parsed === undefined ? before.types : parsed,
        disabled: enabled === true ? null : disabled,
      });
    });
  }

  /**
   * Gives it another secret; the one before signs, too, for the grace, 24 hours by default, and an older one
   * no more. Throws `not_found`, `InvalidInput`.
   */
  rotate(
    origin: Origin,
    owner: Owner,
    webhookId: string,
    options: { graceSeconds?: number | undefined } & Expected,
  ): WebhookWithSecret {
    const { store, secrets, clock } = this.#deps;
    const { graceSeconds = GRACE_SECONDS_DEFAULT } = options;
    checkGrace(graceSeconds, LIMITS.webhookGraceSecondsMax);
    let secret = '';
    const record = this.#change(
      origin,
      'webhook.rotate',
      owner,
      { webhookId, ...options },
      (before) => {
        const made = secrets.create(before.webhookId);
        secret = made.shown;
        return store.webhooks.rotate(before, made.sealed, clock.now() + graceSeconds * 1_000);
      },
    );
    return { record, secret };
  }

  /** What waits for it is dropped. Throws `not_found`. */
  remove(origin: Origin, owner: Owner, webhookId: string, expected: Expected = {}): WebhookRecord {
    const { store } = this.#deps;
    return this.#change(
      origin,
      'webhook.remove',
      owner,
      { webhookId, ...expected },
      (before) => {
        store.noticeDeliveries.end({ kind: 'webhook', target: webhookId }, 'dropped');
        store.webhooks.remove(before);
        return before;
      },
      { isThere: false },
    );
  }

  /** Posts a test to it, once a minute at most: false for a repetition. Throws `not_found`, `conflict`. */
  test(askedBy: string, owner: Owner, webhookId: string): boolean {
    const { notifier, clock } = this.#deps;
    const webhook = this.show(owner, webhookId);
    if (webhook.disabled !== null) {
      throw new AppError('conflict', 'the webhook is disabled: enable it first');
    }
    const key = `${webhookId}:${Math.floor(clock.now() / TEST_EVERY_MS)}`;
    const target = { kind: 'webhook' as const, owner: owner ?? OPERATORS, target: webhookId };
    return notifier.test({ clientId: owner, key, askedBy }, [target]);
  }

  /** The newest first; `next` is what `before` continues from. Throws `not_found`. */
  deliveries(
    owner: Owner,
    webhookId: string,
    { before, limit = LIMITS.adminPageMax }: { before?: number | undefined; limit?: number },
  ): { items: DueDelivery[]; next: number | null } {
    this.show(owner, webhookId);
    const found = this.#deps.store.noticeDeliveries.page(webhookId, before, limit + 1);
    const items = found.slice(0, limit);
    const next = found.length > limit ? (items.at(-1)?.deliveryId ?? null) : null;
    return { items, next };
  }

  /**
   * Dead deliveries, or the one of that number, are tried again for 3 days; how many there were. Throws
   * `not_found`, also when that one is not dead, or `conflict` when the webhook is disabled.
   */
  replay(origin: Origin, owner: Owner, webhookId: string, deliveryId: number | null): number {
    const { store, revived } = this.#deps;
    const count = store.audited(origin, () => {
      const { disabled } = this.show(owner, webhookId);
      if (disabled !== null) {
        throw new AppError('conflict', 'the webhook is disabled: enable it first');
      }
      const result = store.noticeDeliveries.revive(webhookId, deliveryId);
      if (deliveryId !== null && result === 0) {
        throw new AppError('not_found', 'there is no dead delivery of that number');
      }
      const after = { client_id: owner, deliveries: result };
      return { action: 'webhook.replay', target: webhookId, before: null, after, result };
    });
    store.afterCommit(revived);
    return count;
  }

  #change(
    origin: Origin,
    action: string,
    owner: Owner,
    { webhookId, ...expected }: { webhookId: string } & Expected,
    change: (before: WebhookRecord) => WebhookRecord,
    { isThere = true } = {},
  ): WebhookRecord {
    const { store, log } = this.#deps;
    const record = store.audited(origin, () => {
      const before = this.show(owner, webhookId);
      checkVersion(before, expected);
      const result = change(before);
      const after = isThere ? shownOf(result) : null;
      return { action, target: webhookId, before: shownOf(before), after, result };
    });
    const clientId = owner ?? undefined;
    store.afterCommit(() => log.event('webhook_changed', { webhookId, clientId, action }));
    return record;
  }
}

/** Types that an owner may hear of. Throws `InvalidInput`. */
export function parseNoticeTypes(
  types: readonly string[] | null,
  owner: Owner,
  path: string,
): NoticeType[] | null {
  if (types === null) return null;
  const known = noticeTypesFor(owner === null ? 'operators' : 'client');
  const chosen = known.filter((type) => types.includes(type));
  if (chosen.length > 0 && types.every((type) => (known as string[]).includes(type))) return chosen;
  throw new InvalidInput(path, `must be null for all, or some of: ${known.join(', ')}`);
}

/** What the audit log may show of a webhook. */
function shownOf({ clientId, url, types, disabled, oldEndsAt }: WebhookRecord): object {
  const { host } = new URL(url);
  return { client_id: clientId, host, types, disabled, old_secret_ends_at: oldEndsAt };
}
