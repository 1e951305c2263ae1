/**
 * The outbox of mail: takes up deliveries that are due, one mail after the other.
 *
 *   waiting --> allowed by address and over all? --> composed --> handing_over --> the server's answer
 *      ^               | no: waits until it is                        |              2xx delivered
 *      |               |                                              |              5xx bounced
 *      +---------------+----- 4xx, or nothing was handed over --------+              none: unknown
 *
 * A mail is sent once at most: who was handing over when the process died, or the line broke, may have the
 * mail, and it is not sent again (`smtp-session.ts`). More notices than an address may get are folded into one
 * mail. An address of several owners counts once for each, so that no client uses up what operators get.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Random } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { DueDelivery, Outcome, WaitingTarget } from '../store/notice-deliveries.ts';
import { digestOf, mailOf } from './mail-text.ts';
import { OPERATORS } from './notifier.ts';
import { retryDelay } from './retry-delay.ts';
import {
  type MailOutcome,
  type OutgoingMail,
  problemOf,
  type SmtpSession,
} from './smtp-session.ts';

export interface MailSenderDeps {
  store: Pick<ControlStore, 'noticeDeliveries' | 'transaction'>;
  open: (signal: AbortSignal) => Promise<Pick<SmtpSession, 'send' | 'close' | 'isOpen'>>;
  /** The address that mails come from. */
  from: string;
  clock: Clock;
  random: Pick<Random, 'next'>;
  log: Log;
}

/** A mail and what it delivers. */
interface Letter {
  mail: OutgoingMail;
  deliveries: DueDelivery[];
}

type Step = 'go on' | 'stop';

/** The system's clock may be set, so it is looked now and then whatever is due. */
const LOOK_MS = 30_000;
const RETRY = { firstMs: 30_000, maxMs: 3_600_000 };
/** A server that can not be reached is left alone for so long. */
const PAUSE = { firstMs: 10_000, maxMs: 300_000 };
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** At the end, for the mail under way. */
const LAST_MAIL_MS = 2_000;
const TARGETS_MAX = 10_000;
/** Deliveries of one digest; more are in the next. */
const FOLDED_MAX = 1_000;

export class MailSender {
  readonly #deps: MailSenderDeps;
  #session: Pick<SmtpSession, 'send' | 'close' | 'isOpen'> | undefined;
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #closed = false;
  readonly #ending = new AbortController();
  #failures = 0;
  #pausedUntil = 0;

  constructor(deps: MailSenderDeps) {
    this.#deps = deps;
  }

  /** What an earlier process was handing over is unknown from now on. */
  start(): void {
    const lost = this.#deps.store.noticeDeliveries.loseHandedOver();
    if (lost > 0) this.#deps.log.event('mail_unknown', { mails: lost, problem: 'lost' });
    this.soon();
  }

  /** There may be something to send. */
  soon(): void {
    if (this.#closed) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#cancel?.();
    this.#running = this.#pass()
      .catch((error: unknown) => {
        this.#deps.log.event('unexpected_error', { place: 'mail', error });
        return LOOK_MS;
      })
      .then((nextMs) => {
        this.#running = undefined;
        this.#cancel = this.#closed ? undefined : this.#deps.clock.after(nextMs, () => this.soon());
        if (!this.#again) return;
        this.#again = false;
        this.soon();
      });
  }

  /** Sends no more; waits a little for the mail under way, so that nobody has to wonder about it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    const cancel = this.#deps.clock.after(LAST_MAIL_MS, () => this.#ending.abort());
    await this.#running;
    cancel();
    this.#session?.close();
  }

  /** Sends what is due; answers in how many milliseconds to look again. */
  async #pass(): Promise<number> {
    const { clock } = this.#deps;
    if (clock.now() < this.#pausedUntil) return this.#pausedUntil - clock.now();
    for (const target of this.#dueTargets()) {
      if (this.#closed) break;
      for (const letter of this.#lettersTo(target)) {
        if ((await this.#sendOne(letter)) === 'stop') return this.#untilNext();
      }
    }
    this.#session?.close();
    this.#session = undefined;
    return this.#untilNext();
  }

  /** Those of operators first: what clients are told, however much, does not hold up that a worker is down. */
  #dueTargets(): WaitingTarget[] {
    const { store, clock } = this.#deps;
    const now = clock.now();
    return store.noticeDeliveries
      .waiting('mail', TARGETS_MAX)
      .filter(({ nextAt }) => nextAt <= now)
      .toSorted((one, other) => Number(one.owner !== '') - Number(other.owner !== ''));
  }

  #untilNext(): number {
    const { store, clock } = this.#deps;
    const now = clock.now();
    const [first] = store.noticeDeliveries.waiting('mail', 1);
    const next = Math.max(first?.nextAt ?? Number.POSITIVE_INFINITY, this.#pausedUntil);
    return Math.min(LOOK_MS, Math.max(1, next - now));
  }

  /** A mail for each notice, or one for all when there are more than the address may get. */
  #lettersTo(target: WaitingTarget): Letter[] {
    const { store, clock } = this.#deps;
    const now = clock.now();
    const leftOf = (of: { owner: string; target: string | null }, max: number): number => {
      const sent = store.noticeDeliveries.sentSince(now - HOUR_MS, of, max);
      if (sent.length < max) return max - sent.length;
      store.noticeDeliveries.defer(target, (sent[0] ?? now) + HOUR_MS);
      return 0;
    };
    const left = leftOf(target, LIMITS.mailsPerAddressHourMax);
    const { owner } = target;
    const ofClient = { owner, target: null };
    const isMuch = owner !== OPERATORS && leftOf(ofClient, LIMITS.mailsPerClientHourMax) === 0;
    if (left === 0 || isMuch) return [];
    const due = store.noticeDeliveries.due(target, FOLDED_MAX);
    return due.length > left ? [this.#letter(due)] : due.map((one) => this.#letter([one]));
  }

  #letter(deliveries: DueDelivery[]): Letter {
    const { from, clock } = this.#deps;
    const [first] = deliveries;
    const { owner = '', target: to = '', deliveryId, notice } = first ?? {};
    const notices = deliveries.map((delivery) => delivery.notice);
    const text =
      notice !== undefined && notices.length === 1
        ? mailOf(notice, owner)
        : digestOf(notices, owner);
    const name = `${notice?.noticeId}.${deliveryId}`;
    const messageId = `<${name}@${from.slice(from.lastIndexOf('@') + 1)}>`;
    return { mail: { ...text, from, to, messageId, at: clock.now() }, deliveries };
  }

  async #sendOne({ mail, deliveries }: Letter): Promise<Step> {
    const { store, clock } = this.#deps;
    const recent = store.noticeDeliveries.sentSince(
      clock.now() - MINUTE_MS,
      null,
      LIMITS.mailsPerMinuteMax,
    );
    if (recent.length >= LIMITS.mailsPerMinuteMax) {
      this.#pausedUntil = (recent[0] ?? clock.now()) + MINUTE_MS;
      return 'stop';
    }
    const session = await this.#open(deliveries);
    if (session === undefined || this.#closed) return 'stop';
    const outcome = await session.send(mail, () => {
      store.transaction(() => {
        for (const { deliveryId } of deliveries) {
          if (store.noticeDeliveries.handOver(deliveryId, mail.messageId)) continue;
          throw new Error('the address is no recipient any more');
        }
      });
    });
    this.#settle(deliveries, outcome);
    return this.#closed ? 'stop' : 'go on';
  }

  /** Undefined when the server can not be reached: then it is left alone for a while. */
  async #open(deliveries: readonly DueDelivery[]) {
    const { open, clock, random, log } = this.#deps;
    if (this.#session?.isOpen === true) return this.#session;
    try {
      this.#session = await open(this.#ending.signal);
      this.#failures = 0;
      return this.#session;
    } catch (error) {
      this.#session = undefined;
      this.#failures += 1;
      const problem = problemOf(error);
      const delayMs = retryDelay(this.#failures, PAUSE, random);
      this.#pausedUntil = clock.now() + delayMs;
      this.#settle(deliveries, { kind: 'later', code: null, problem });
      log.event('mail_server_failed', { problem, failures: this.#failures, delayMs });
      return undefined;
    }
  }

  #settle(deliveries: readonly DueDelivery[], outcome: MailOutcome): void {
    const { store, log } = this.#deps;
    store.transaction(() => {
      for (const delivery of deliveries) {
        store.noticeDeliveries.settle(delivery.deliveryId, this.#outcomeOf(delivery, outcome));
      }
    });
    const { kind, code } = outcome;
    const noticeId = deliveries[0]?.notice.noticeId;
    const problem = 'problem' in outcome ? outcome.problem : undefined;
    const fields = { noticeId, notices: deliveries.length, code: code ?? undefined, problem };
    if (kind === 'unknown') log.event('mail_unknown', { mails: 1, problem });
    log.event('mail_tried', { outcome: kind, ...fields });
  }

  #outcomeOf({ attempts }: DueDelivery, outcome: MailOutcome): Outcome {
    const { clock, random } = this.#deps;
    const { code } = outcome;
    switch (outcome.kind) {
      case 'taken':
        return { state: 'delivered', code };
      case 'refused':
        return { state: 'bounced', code };
      case 'unknown':
        return { state: 'unknown', code, problem: outcome.problem };
      case 'later': {
        const nextAt = clock.now() + retryDelay(attempts + 1, RETRY, random);
        return { state: 'waiting', nextAt, code, problem: outcome.problem };
      }
      default:
        return outcome satisfies never;
    }
  }
}
