/** `bulkhead webhook list|create|set|rotate|remove|test|deliveries|replay`: those of the operators. */
import { type Command, Option } from 'commander';
import { noticeTypesFor } from '../../../shared/domain/notices.ts';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { type Output, printJson, printRows } from '../output.ts';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import { addConfirmOption, type ConfirmOptions, confirm } from './confirm.ts';
import { clientIdOf } from './names.ts';
import type { WebhookRow, WebhookWithSecret } from './notice-replies.ts';
import { collect, parseCount, parseDeliveryId } from './notices.ts';
import { parseDuration } from './times.ts';

const COLUMNS = ['webhook_id', 'url', 'types', 'enabled', 'disabled_reason', 'failing_since'];
const DELIVERY_COLUMNS = [
  ...['delivery_id', 'type', 'state', 'attempts', 'status', 'problem', 'last_at', 'next_at'],
  'event_id',
];
const COUNT_DEFAULT = 50;

interface TypeOptions {
  type?: string[];
  allTypes?: boolean;
}

type SetOptions = TypeOptions & { url?: string; enable?: boolean; disable?: boolean };

export function addWebhookCommands(program: Command, context: ProgramContext): void {
  const webhook = program.command('webhook').description('where operators have notices posted to');
  const run = (options: AdminOptions, command: (parts: AdminParts) => Promise<void>) => {
    return withAdmin(options, context.write, command);
  };
  addAdminOptions(webhook.command('list').description('list webhooks'))
    .option('--client <client>', 'those of a client instead')
    .action((options: AdminOptions & { client?: string }) => {
      return run(options, async ({ admin, output }) => {
        const { client } = options;
        const clientId = client === undefined ? undefined : await clientIdOf(admin, client);
        print(output, await admin.notify.listWebhooks(clientId));
      });
    });
  addTypeOptions(
    webhook.command('create <url>').description('make one; its secret is shown once'),
  ).action((url: string, options: AdminOptions & TypeOptions) => {
    return run(options, async ({ admin, output }) => {
      printSecret(output, await admin.notify.createWebhook({ url, ...typesOf(options) }));
    });
  });
  addTypeOptions(webhook.command('set <webhook>').description('change, disable or enable one'))
    .option('--url <url>', 'where it posts to')
    .option('--enable', 'let it get notices again')
    .addOption(new Option('--disable', 'let it get none').conflicts('enable'))
    .action((webhookId: string, options: AdminOptions & SetOptions) => {
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.notify.updateWebhook(webhookId, changeOf(options))]);
      });
    });
  addAdminOptions(webhook.command('rotate <webhook>').description('give one another secret'))
    .option(
      '--grace <duration>',
      'until the one before signs no more: 24h unless said',
      parseDuration,
    )
    .action((webhookId: string, options: AdminOptions & { grace?: number }) => {
      return run(options, async ({ admin, output }) => {
        printSecret(output, await admin.notify.rotateWebhook(webhookId, options.grace));
      });
    });
  addConfirmOption(
    addAdminOptions(webhook.command('remove <webhook>').description('remove one')),
  ).action((webhookId: string, options: AdminOptions & ConfirmOptions) => {
    return run(options, async ({ admin, output }) => {
      await confirm(options, context, {
        what: `removes the webhook ${webhookId}`,
        name: webhookId,
      });
      print(output, [await admin.notify.removeWebhook(webhookId)]);
    });
  });
  addDeliveryCommands(webhook, run);
}

function addDeliveryCommands(
  webhook: Command,
  run: (options: AdminOptions, command: (parts: AdminParts) => Promise<void>) => Promise<void>,
): void {
  addAdminOptions(webhook.command('test <webhook>').description('post a test to one')).action(
    (webhookId: string, options: AdminOptions) => {
      return run(options, async ({ admin, output }) => {
        printJson({ ...output, json: true }, { told: await admin.notify.testWebhook(webhookId) });
      });
    },
  );
  addAdminOptions(
    webhook.command('deliveries <webhook>').description('list what it got or is to get'),
  )
    .option('--count <n>', 'how many, the newest first', parseCount, COUNT_DEFAULT)
    .action((webhookId: string, options: AdminOptions & { count: number }) => {
      return run(options, async ({ admin, output }) => {
        const found = await admin.notify.listDeliveries(webhookId, options.count);
        printRows(
          output,
          DELIVERY_COLUMNS,
          found.map((row) => ({ ...row })),
        );
      });
    });
  addAdminOptions(webhook.command('replay <webhook>').description('try dead deliveries again'))
    .option('--delivery <number>', 'only that one', parseDeliveryId)
    .action((webhookId: string, options: AdminOptions & { delivery?: number }) => {
      return run(options, async ({ admin, output }) => {
        const replayed = await admin.notify.replayDeliveries(webhookId, options.delivery);
        printJson({ ...output, json: true }, { replayed });
      });
    });
}

function addTypeOptions(command: Command): Command {
  const known = noticeTypesFor('operators').join(', ');
  return addAdminOptions(command)
    .option('--type <type>', `what it hears of; may be said several times: ${known}`, collect)
    .addOption(new Option('--all-types', 'it hears of all').conflicts('type'));
}

function typesOf({ type, allTypes }: TypeOptions) {
  const types = allTypes === true ? null : type;
  return types === undefined ? {} : { types };
}

function changeOf(options: SetOptions) {
  const { url, enable, disable } = options;
  const change = {
    ...typesOf(options),
    ...(url !== undefined && { url }),
    ...(enable === true && { enabled: true }),
    ...(disable === true && { enabled: false }),
  };
  if (Object.keys(change).length > 0) return change;
  throw new CommandError('nothing to set: see --help', { exit: 'usage' });
}

function printSecret(output: Output, made: WebhookWithSecret): void {
  if (output.json) printJson(output, { ...made });
  else output.write(`${made.webhook_id}, its secret is shown this once:\n\n  ${made.secret}\n`);
}

function print(output: Output, webhooks: readonly WebhookRow[]): void {
  const rows = webhooks.map((webhook) => {
    return output.json ? { ...webhook } : { ...webhook, types: webhook.types?.join(' ') ?? 'all' };
  });
  printRows(output, COLUMNS, rows);
}
