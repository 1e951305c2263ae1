/**
 * Completion at the shell: `bulkhead completion bash` prints what a shell needs to ask
 * `bulkhead complete -- WORDS...`, which prints the words that may stand last, one a line. What
 * stands in a command's help, `<client>` or `<plan>`, says which names are asked of the service.
 */
import { Argument, type Command, type Option } from 'commander';
import type { ProgramContext } from '../context.ts';
import type { AdminClient } from './admin-client.ts';
import { type AdminOptions, withAdmin } from './admin-options.ts';
import { clientIdOf } from './names.ts';

/** The shell gives the words before the cursor, the unfinished one last. */
const SCRIPTS: Readonly<Record<string, string>> = {
  bash: `_bulkhead() {
  local IFS=$'\\n'
  COMPREPLY=($("\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
complete -o default -F _bulkhead bulkhead
`,
  zsh: `#compdef bulkhead
_bulkhead() {
  local -a found
  found=("\${(@f)$("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a found
}
compdef _bulkhead bulkhead
`,
};

export function addCompletionCommands(program: Command, context: ProgramContext): void {
  const shell = new Argument('<shell>', 'your shell').choices(Object.keys(SCRIPTS));
  program
    .command('completion')
    .description('print a script for your shell: eval "$(bulkhead completion bash)"')
    .addArgument(shell)
    .action((name: string) => context.write(SCRIPTS[name] ?? ''));
  program.command('complete [words...]', { hidden: true }).action(async (words: string[]) => {
    const found = await complete(program, words);
    context.write(found.map((word) => `${word}\n`).join(''));
  });
}

async function complete(program: Command, words: readonly string[]): Promise<string[]> {
  const last = words.at(-1) ?? '';
  const { command, given, options, awaited } = read(program, words.slice(0, -1));
  const candidates = await candidatesOf(command, { last, given, options, awaited });
  return candidates.filter((word) => word.startsWith(last));
}

interface Position {
  last: string;
  /** Arguments before it. */
  given: string[];
  /** Values of options before it, by their long names. */
  options: Readonly<Record<string, string>>;
  /** The option whose value it is. */
  awaited: Option | undefined;
}

/** Which command the words name, and what of its arguments and options is there. */
function read(program: Command, words: readonly string[]) {
  let command = program;
  const given: string[] = [];
  const options: Record<string, string> = {};
  let awaited: Option | undefined;
  for (const word of words) {
    if (awaited !== undefined) {
      options[awaited.attributeName()] = word;
      awaited = undefined;
    } else if (word.startsWith('-')) {
      const [name, value] = word.split('=', 2);
      const option = command.options.find(({ long }) => long === name);
      if (option !== undefined && value !== undefined) options[option.attributeName()] = value;
      else if (option?.required === true) awaited = option;
    } else {
      const inner = command.commands.find((known) => known.name() === word);
      if (inner === undefined) given.push(word);
      else command = inner;
    }
  }
  return { command, given, options, awaited };
}

async function candidatesOf(command: Command, position: Position): Promise<string[]> {
  const { last, given, awaited } = position;
  if (awaited !== undefined) return wordsFor(awaited, position);
  if (last.startsWith('-')) return command.options.flatMap(({ long }) => long ?? []);
  if (command.commands.length > 0) {
    const visible = command.commands.filter((inner) => inner.name() !== 'complete');
    return visible.map((inner) => inner.name());
  }
  const argument = command.registeredArguments[given.length];
  return argument === undefined ? [] : wordsFor(argument, position);
}

async function wordsFor(wanted: Option | Argument, position: Position): Promise<string[]> {
  if (wanted.argChoices !== undefined) return [...wanted.argChoices];
  const kind = 'flags' in wanted ? /<([a-z]+)>/.exec(wanted.flags)?.[1] : wanted.name();
  const namesOf = NAMES[kind ?? ''];
  if (namesOf === undefined) return [];
  const where: AdminOptions = {
    ...{ data: './data', adminUrl: 'http://127.0.0.1:6335', json: false },
    ...position.options,
  };
  let found: string[] = [];
  try {
    await withAdmin(
      where,
      () => undefined,
      async ({ admin }) => {
        found = await namesOf(admin, position.given);
      },
    );
  } catch {
    // Nobody wants an error in the middle of a line that is being typed.
  }
  return found;
}

type NamesOf = (admin: AdminClient, given: readonly string[]) => Promise<string[]>;

/** A name that a shell would have to quote, or that several have, is left to its id. */
const PLAIN = /^[A-Za-z0-9._@-]+$/;

const CENSUSES_SHOWN = 30;

const NAMES: Readonly<Record<string, NamesOf>> = {
  async client(admin) {
    const clients = await admin.listClients();
    const counts = new Map<string, number>();
    for (const { name } of clients) counts.set(name, (counts.get(name) ?? 0) + 1);
    return clients.map(({ name, client_id }) => {
      return PLAIN.test(name) && counts.get(name) === 1 ? name : client_id;
    });
  },
  async plan(admin) {
    return (await admin.listPlans()).map(({ plan }) => plan);
  },
  async census(admin) {
    return (await admin.listCensuses(CENSUSES_SHOWN)).map(({ census }) => census);
  },
  async worker(admin) {
    return (await admin.workers()).map(({ worker_id }) => worker_id);
  },
  async key(admin, [client = '']) {
    const keys = await admin.listKeys(await clientIdOf(admin, client));
    return keys.flatMap(({ key_id, revoked_at }) => (revoked_at === null ? [key_id] : []));
  },
};
