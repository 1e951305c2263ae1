/** What destroys something asks first: `--yes` answers, or a person who types its name. */
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';

export interface ConfirmOptions {
  yes: boolean;
}

export function addConfirmOption(command: Command): Command {
  return command.option('--yes', 'do it without asking', false);
}

/** Throws a `CommandError` unless it is wanted. `what`: "erases the client acme". */
export async function confirm(
  { yes }: ConfirmOptions,
  { ask }: Pick<ProgramContext, 'ask'>,
  { what, name }: { what: string; name: string },
): Promise<void> {
  if (yes) return;
  if (ask === undefined) throw new CommandError(`this ${what}: say --yes`, { exit: 'usage' });
  const answer = await ask(`This ${what}. Type ${name} to go on: `);
  if (answer.trim() !== name) throw new CommandError('nothing was done', { exit: 'refused' });
}
