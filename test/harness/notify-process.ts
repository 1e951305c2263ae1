/**
 * Tells notices and sends them, as a process that can be killed. Arguments: folder, port of the mail server,
 * port of the receiver, how many notices. Each start tells all of them; each is told once.
 */
import { join } from 'node:path';
import { MailSender } from '../../coordinator/notify/mail-sender.ts';
import { SmtpSession } from '../../coordinator/notify/smtp-session.ts';
import { WebhookSender } from '../../coordinator/notify/webhook-sender.ts';
import { ControlStore } from '../../coordinator/store/control-store.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { quietLog } from '../../shared/log/log.ts';
import { notifyParts } from './notify-parts.ts';

const [folder = '', mailPort = '', hookPort = '', count = ''] = process.argv.slice(2);
const ADDRESSES = ['a', 'b', 'c', 'd', 'e'].map((name) => `slow+${name}@example.com`);

const store = ControlStore.open(join(folder, 'control.db'), { clock: systemClock });
const parts = notifyParts({
  store,
  clock: systemClock,
  operators: ADDRESSES,
  ports: [Number(hookPort)],
  allowedNetworks: ['127.0.0.0/8'],
});
const base = { ...parts, random: secureRandom, log: quietLog };
const tls = 'none' as const;
const smtp = { host: '127.0.0.1', port: Number(mailPort), tls, user: '', password: '' };
const open = (signal: AbortSignal) => SmtpSession.open(smtp, signal);
const mailSender = new MailSender({ ...base, open, from: 'bulkhead@example.com' });
const webhookSender = new WebhookSender(base);
if (store.webhooks.count(null) === 0) {
  const origin = { actor: 'operator', requestId: 'r' };
  parts.webhooks.create(origin, null, { url: `http://127.0.0.1:${hookPort}/` });
}
parts.notifier.onTold(() => {
  mailSender.soon();
  webhookSender.soon();
});
process.on('disconnect', () => process.exit());
mailSender.start();
webhookSender.soon();
process.send?.('started');
for (let i = 0; i < Number(count); i += 1) {
  const data = { worker_id: `wk_${String(i).padStart(3, '0')}`, shards: i };
  parts.notifier.tell({ type: 'worker.down', clientId: null, key: String(i), data });
  await new Promise((resolve) => setImmediate(resolve));
}
const isDone = () =>
  ['mail', 'webhook'].every((kind) => {
    return store.noticeDeliveries.waiting(kind as 'mail', 1).length === 0;
  });
while (!isDone()) await new Promise((resolve) => setTimeout(resolve, 10));
await Promise.all([mailSender.close(), webhookSender.close()]);
process.send?.('done');
