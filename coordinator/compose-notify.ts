/**
 * Builds what tells operators and clients: the notifier that everybody tells, the senders behind it, and who
 * looks for what is to be told.
 */
import type { Clock } from '../shared/base/clock.ts';
import type { SecureRandom } from '../shared/base/random.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import type { Log } from '../shared/log/log.ts';
import type { Tell } from './compose-parts.ts';
import type { CoordinatorConfig } from './config.ts';
import { NoticeAdmin } from './control-plane/notices.ts';
import { WebhookAdmin } from './control-plane/webhooks.ts';
import { CertificateWatch } from './notify/certificate-watch.ts';
import { HourlyLook } from './notify/hourly-look.ts';
import { MailSender } from './notify/mail-sender.ts';
import { Notifier } from './notify/notifier.ts';
import { SmtpSession } from './notify/smtp-session.ts';
import { resolveByDns, TargetGuard } from './notify/target-guard.ts';
import { WebhookSecrets } from './notify/webhook-secrets.ts';
import { WebhookSender } from './notify/webhook-sender.ts';
import { type WatchedWorker, WorkerWatch } from './notify/worker-watch.ts';
import {
  allowedNetworksOf,
  certificateFilesOf,
  mailSettingsOf,
  webhookPortsOf,
} from './notify-settings.ts';
import type { ControlStore } from './store/control-store.ts';

interface NotifyDeps {
  store: ControlStore;
  clock: Clock;
  random: SecureRandom;
  log: Log;
  /** All workers as they are now. */
  live: () => readonly WatchedWorker[];
}

/**
 * For whoever has something to tell: within a transaction it is told with it or not at all. Else a disk that
 * does not take it is no reason to end what goes on, often the report of that very disk.
 */
function tellerOf(notifier: Notifier, { store, log }: NotifyDeps): Tell {
  return (notice) => {
    try {
      notifier.tell(notice);
    } catch (error) {
      if (store.inTransaction) throw error;
      log.event('notice_failed', { type: notice.type, error });
    }
  };
}

/** `start` is called once everything else is there. */
export function composeNotify(config: CoordinatorConfig, deps: NotifyDeps, shutdown: Shutdown) {
  const mail = mailSettingsOf(config);
  const notifier = new Notifier({ ...deps, mail });
  const guard = new TargetGuard({
    ports: webhookPortsOf(config),
    allowedNetworks: allowedNetworksOf(config),
    resolve: resolveByDns,
  });
  const secrets = new WebhookSecrets(config.keyPepper, deps.random);
  const known = { ...deps, notifier, guard, secrets };
  const webhookSender = shutdown.add('webhooks', new WebhookSender(known));
  notifier.onTold(() => webhookSender.soon());
  const open = mail && ((signal: AbortSignal) => SmtpSession.open(mail, signal));
  const mailSender = open && new MailSender({ ...known, open, from: mail.from });
  if (mailSender !== undefined) {
    shutdown.add('mail', mailSender);
    notifier.onTold(() => mailSender.soon());
  }
  const hourlyLook = shutdown.add('hourly look', new HourlyLook(known));
  const workerWatch = shutdown.add('worker watch', new WorkerWatch(known));
  const certificates = new CertificateWatch(known, certificateFilesOf(config));
  shutdown.add('certificate watch', certificates);
  return {
    tell: tellerOf(notifier, deps),
    /** What operators and clients set and see. */
    admin: {
      notices: new NoticeAdmin(known),
      webhooks: new WebhookAdmin({ ...known, revived: () => webhookSender.soon() }),
    },
    start(): void {
      if (mailSender === undefined) deps.log.event('mail_off', {});
      mailSender?.start();
      webhookSender.soon();
      hourlyLook.start();
      workerWatch.start();
      certificates.start();
    },
  };
}
