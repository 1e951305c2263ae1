/**
 * Posts notices to webhooks, each until its receiver has taken it:
 *
 *   waiting --> posted --> 2xx: delivered
 *      ^          |  410: the webhook is disabled, what waits for it is dead
 *      +----------+  anything else, or nothing: again later, for 3 days; then dead
 *
 * What is under way when the process dies still waits, so a receiver may get an event twice, under the same
 * `webhook-id`, and never misses one. Dead deliveries are kept and can be replayed. A webhook for which nothing
 * but failures came when a delivery dies is disabled, and its owner is told.
 *
 * Receivers do not disturb each other: one call a webhook at a time, a few an owner, a bound over all, and
 * who has waited longest is next.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Random } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { DueDelivery, WaitingTarget } from '../store/notice-deliveries.ts';
import type { WebhookRecord } from '../store/webhooks.ts';
import type { Notifier } from './notifier.ts';
import { retryDelay } from './retry-delay.ts';
import { type TargetGuard, UnfitTarget } from './target-guard.ts';
import { callWebhook, type WebhookAnswer } from './webhook-call.ts';
import { eventText, signedHeaders } from './webhook-event.ts';
import type { WebhookSecrets } from './webhook-secrets.ts';

export interface WebhookSenderDeps {
  store: Pick<ControlStore, 'noticeDeliveries' | 'webhooks' | 'transaction'>;
  notifier: Pick<Notifier, 'tell'>;
  guard: Pick<TargetGuard, 'check'>;
  secrets: Pick<WebhookSecrets, 'signing'>;
  clock: Clock;
  random: Pick<Random, 'next'>;
  log: Log;
  /** A certificate to be trusted in place of those of the system. */
  ca?: string;
}

const HOUR_MS = 3_600_000;
/** How long it is tried to deliver a notice. */
export const TRIED_MS = 3 * 24 * HOUR_MS;
/** Who has failed for so long when a delivery dies is disabled. */
const FAILING_MS = 2 * 24 * HOUR_MS;
const RETRY = { firstMs: 5_000, maxMs: 6 * HOUR_MS };
/** The system's clock may be set, so it is looked now and then whatever is due. */
const LOOK_MS = 30_000;
const TARGETS_MAX = 10_000;
/** A look takes as long as there are webhooks for which something waits; so much longer is none taken. */
const RESTS_PER_LOOK = 10;
const GONE = 410;

export class WebhookSender {
  readonly #deps: WebhookSenderDeps;
  readonly #calls = new Map<string, Promise<void>>();
  readonly #callsOf = new Map<string, number>();
  readonly #ending = new AbortController();
  #cancel: (() => void) | undefined;
  /** No look before, in monotonic time. */
  #restsUntilMs = 0;

  constructor(deps: WebhookSenderDeps) {
    this.#deps = deps;
  }

  /** There may be something to post. */
  soon(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#ending.signal.aborted) return;
    const { clock } = this.#deps;
    const startedMs = clock.monotonicMs();
    if (startedMs < this.#restsUntilMs) {
      this.#cancel = clock.after(this.#restsUntilMs - startedMs, () => this.soon());
      return;
    }
    let nextMs = LOOK_MS;
    try {
      nextMs = this.#startCalls();
    } catch (error) {
      this.#deps.log.event('unexpected_error', { place: 'webhooks', error });
    }
    const endedMs = clock.monotonicMs();
    this.#restsUntilMs = endedMs + (endedMs - startedMs) * RESTS_PER_LOOK;
    this.#cancel = clock.after(nextMs, () => this.soon());
  }

  /** Breaks off what is under way: it waits, and is posted again after the next start. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#cancel?.();
    await Promise.all(this.#calls.values());
  }

  /** Calls whose turn it is; answers in how many milliseconds the next may be due. */
  #startCalls(): number {
    const { store, clock } = this.#deps;
    const now = clock.now();
    for (const target of store.noticeDeliveries.waiting('webhook', TARGETS_MAX)) {
      if (target.nextAt > now) return Math.min(LOOK_MS, target.nextAt - now);
      if (this.#calls.size >= LIMITS.webhookCallsMax) break;
      const isUnderWay = this.#calls.has(target.target);
      const own = this.#callsOf.get(target.owner) ?? 0;
      if (!isUnderWay && own < LIMITS.webhookCallsPerOwnerMax) this.#start(target);
    }
    return LOOK_MS;
  }

  #start(target: WaitingTarget): void {
    const { owner, target: webhookId } = target;
    this.#callsOf.set(owner, (this.#callsOf.get(owner) ?? 0) + 1);
    const call = this.#deliver(target)
      .catch((error: unknown) => {
        // It is left waiting; the next look is not before the next timer, so this does not spin.
        this.#deps.log.event('unexpected_error', { place: 'webhook', error });
        return false;
      })
      .then((goesOn) => {
        this.#calls.delete(webhookId);
        const left = (this.#callsOf.get(owner) ?? 1) - 1;
        if (left === 0) this.#callsOf.delete(owner);
        else this.#callsOf.set(owner, left);
        if (goesOn) this.soon();
      });
    this.#calls.set(webhookId, call);
  }

  /** One delivery to one webhook. */
  async #deliver(target: WaitingTarget): Promise<boolean> {
    const { store } = this.#deps;
    const webhook = store.webhooks.find(target.target);
    if (webhook === undefined || webhook.disabled !== null) {
      store.noticeDeliveries.end(target, webhook === undefined ? 'dropped' : 'dead');
      return true;
    }
    const [delivery] = store.noticeDeliveries.due(target, 1);
    if (delivery === undefined) return true;
    const answer = await this.#post(webhook, delivery);
    if (this.#ending.signal.aborted && !('status' in answer)) return false;
    this.#settle(webhook, delivery, answer);
    return true;
  }

  async #post(webhook: WebhookRecord, { notice }: DueDelivery): Promise<WebhookAnswer> {
    const { guard, secrets, clock, ca } = this.#deps;
    const body = eventText(notice);
    try {
      const isOperators = webhook.clientId === null;
      const check = guard.check(webhook.url, { isOperators });
      const target = await unlessAborted(check, this.#ending.signal);
      const now = clock.now();
      const headers = signedHeaders(notice, body, { secrets: secrets.signing(webhook, now), now });
      const { signal } = this.#ending;
      return await callWebhook({ target, headers, body, signal }, { clock, ca });
    } catch (error) {
      if (error instanceof UnfitTarget) return { problem: error.problem };
      if (this.#ending.signal.aborted) return { problem: 'ending' };
      throw error;
    }
  }

  #settle(webhook: WebhookRecord, delivery: DueDelivery, answer: WebhookAnswer): void {
    const { store, log } = this.#deps;
    const { webhookId } = webhook;
    const code = 'status' in answer ? answer.status : null;
    const problem = 'problem' in answer ? answer.problem : null;
    const isTaken = code !== null && code >= 200 && code < 300;
    const { deliveryId } = delivery;
    store.transaction(() => {
      if (isTaken) {
        store.noticeDeliveries.settle(deliveryId, { state: 'delivered', code });
        store.webhooks.noteCall(webhookId, true);
        return;
      }
      store.webhooks.noteCall(webhookId, false);
      // Who moved a webhook during the call has heard that the place before is gone, not this one.
      const isGone = code === GONE && store.webhooks.find(webhookId)?.url === webhook.url;
      const next = this.#nextOf(delivery, isGone);
      store.noticeDeliveries.settle(deliveryId, { ...next, code, problem });
      if (next.state === 'dead') this.#giveUp(webhook, isGone);
    });
    log.event('webhook_called', {
      webhookId,
      clientId: webhook.clientId ?? undefined,
      noticeId: delivery.notice.noticeId,
      attempts: delivery.attempts + 1,
      status: code ?? undefined,
      problem: problem ?? undefined,
    });
  }

  #nextOf({ attempts, since }: DueDelivery, isGone: boolean) {
    const { clock, random } = this.#deps;
    const nextAt = clock.now() + retryDelay(attempts + 1, RETRY, random);
    if (isGone || nextAt >= since + TRIED_MS) return { state: 'dead' as const };
    return { state: 'waiting' as const, nextAt };
  }

  /** Disables a webhook whose receiver is gone or has failed for days. */
  #giveUp({ webhookId, clientId }: WebhookRecord, isGone: boolean): void {
    const { store, notifier, clock, log } = this.#deps;
    const now = store.webhooks.find(webhookId);
    if (now === undefined || now.disabled !== null) return;
    const failingMs = clock.now() - (now.failingSince ?? clock.now());
    if (!isGone && failingMs < FAILING_MS) return;
    const reason = isGone ? 'gone' : 'failing';
    store.webhooks.disable(webhookId, reason);
    store.noticeDeliveries.end({ kind: 'webhook', target: webhookId }, 'dead');
    const key = `${webhookId}:${now.version}`;
    const data = { webhook_id: webhookId, reason };
    notifier.tell({ type: 'webhook.disabled', clientId, key, data });
    log.event('webhook_disabled', { webhookId, clientId: clientId ?? undefined, reason });
  }
}

/** A name server may take long; nobody waits for it at the end. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const stop = () => reject(new Error('the process ends'));
  signal.addEventListener('abort', stop, { once: true });
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', stop));
}
