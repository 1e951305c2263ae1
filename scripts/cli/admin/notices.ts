/** `bulkhead notices [list]|test|recipients`. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { NOTICES } from '../../../shared/domain/notices.ts';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { printJson, printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';
import { clientIdOf } from './names.ts';
import type { NoticeRow } from './notice-replies.ts';

const COLUMNS = ['sequence', 'at', 'type', 'client_id', 'data', 'deliveries'];
const RECIPIENT_COLUMNS = ['address', 'types'];
const COUNT_DEFAULT = 50;

interface ListOptions {
  client?: string;
  type?: string;
  count: number;
}

interface RecipientOptions {
  mail?: string[];
  none?: boolean;
}

export function addNoticeCommands(program: Command, { write }: ProgramContext): void {
  const notices = program.command('notices').description('what operators and clients were told');
  addAdminOptions(
    notices.command('list', { isDefault: true }).description('list notices, the newest first'),
  )
    .option('--client <client>', 'about that client only')
    .addOption(new Option('--type <type>', 'of that type only').choices(Object.keys(NOTICES)))
    .option('--count <n>', 'how many', parseCount, COUNT_DEFAULT)
    .action((options: AdminOptions & ListOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const { client, type, count } = options;
        const clientId = client === undefined ? undefined : await clientIdOf(admin, client);
        const found = await admin.notify.notices({ type, client: clientId }, count);
        printRows(
          output,
          COLUMNS,
          output.json ? found.map((row) => ({ ...row })) : found.map(shownOf),
        );
      });
    });
  addAdminOptions(notices.command('test').description('mail a test to the operators')).action(
    (options: AdminOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        printJson({ ...output, json: true }, { told: await admin.notify.testMail() });
      });
    },
  );
  addAdminOptions(
    notices.command('recipients <client>').description('show or set who of a client gets mail'),
  )
    .option('--mail <address>', 'one that gets all; may be said several times', collect)
    .addOption(new Option('--none', 'nobody gets mail').conflicts('mail'))
    .action((client: string, options: AdminOptions & RecipientOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const clientId = await clientIdOf(admin, client);
        const wanted = options.none === true ? [] : options.mail;
        const found =
          wanted === undefined
            ? await admin.notify.recipients(clientId)
            : await admin.notify.setRecipients(clientId, wanted);
        const rows = found.map(({ address, types }) => ({
          address,
          types: types?.join(' ') ?? 'all',
        }));
        printRows(output, RECIPIENT_COLUMNS, output.json ? found.map((row) => ({ ...row })) : rows);
      });
    });
}

function shownOf({ data, deliveries, ...notice }: NoticeRow) {
  const fates = new Map<string, number>();
  for (const { kind, state } of deliveries) {
    const fate = `${kind} ${state}`;
    fates.set(fate, (fates.get(fate) ?? 0) + 1);
  }
  return {
    ...notice,
    data: Object.entries(data)
      .map(([name, value]) => `${name}=${value}`)
      .join(' '),
    deliveries: [...fates].map(([fate, count]) => `${count} ${fate}`).join(', '),
  };
}

export function collect(text: string, before: string[] = []): string[] {
  return [...before, text];
}

export function parseCount(text: string): number {
  if (/^[1-9][0-9]{0,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number from 1 on.');
}

/** A number that the API gave. */
export function parseDeliveryId(text: string): number {
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text);
  throw new CommandError('--delivery is the number of a delivery', { exit: 'usage' });
}
