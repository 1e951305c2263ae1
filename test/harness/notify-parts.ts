/** Notices, recipients and webhooks over a store, without anything that sends. */
import { NoticeAdmin } from '../../coordinator/control-plane/notices.ts';
import { WebhookAdmin } from '../../coordinator/control-plane/webhooks.ts';
import { Notifier } from '../../coordinator/notify/notifier.ts';
import { type Resolve, TargetGuard } from '../../coordinator/notify/target-guard.ts';
import { WebhookSecrets } from '../../coordinator/notify/webhook-secrets.ts';
import type { ControlStore } from '../../coordinator/store/control-store.ts';
import type { Clock } from '../../shared/base/clock.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { type Log, quietLog } from '../../shared/log/log.ts';

export interface NotifyOptions {
  store: ControlStore;
  clock: Clock;
  log?: Log;
  /** Of operators; null: there is no mail server. */
  operators?: string[] | null;
  ports?: number[];
  allowedNetworks?: string[];
  resolve?: Resolve;
}

/** Every name leads to a public address, if nobody says otherwise. */
const PUBLIC_ADDRESS = '93.184.215.14';

export function notifyParts({
  store,
  clock,
  log = quietLog,
  operators = ['ops@example.com'],
  ports = [443],
  allowedNetworks = [],
  resolve = async () => [PUBLIC_ADDRESS],
}: NotifyOptions) {
  const base = { store, clock, log, random: secureRandom };
  const notifier = new Notifier({ ...base, mail: operators === null ? undefined : { operators } });
  const guard = new TargetGuard({ ports, allowedNetworks, resolve });
  const secrets = new WebhookSecrets('pepper'.repeat(8), secureRandom);
  const known = { ...base, notifier, guard, secrets };
  const notices = new NoticeAdmin(known);
  const webhooks = new WebhookAdmin({ ...known, revived: () => undefined });
  return { ...known, notices, webhooks };
}
