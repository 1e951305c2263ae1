/**
 * The commands of `bulkhead`: those of the service itself here, those of each thing that operators
 * work on in a file of its own.
 */
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import packageJson from '../../package.json' with { type: 'json' };
import { systemClock } from '../../shared/base/clock.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { ConfigError } from '../../shared/config/config-error.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin/admin-options.ts';
import { addAnomaliesCommand } from './admin/anomalies.ts';
import { addAuditCommands } from './admin/audit.ts';
import { addBudgetCommands } from './admin/budget.ts';
import { addCensusCommands } from './admin/census.ts';
import { addClientCommands } from './admin/client.ts';
import { addCollectionCommands } from './admin/collection.ts';
import { addCompletionCommands } from './admin/completion.ts';
import { addInvoiceCommands } from './admin/invoice.ts';
import { addKeyCommands } from './admin/key.ts';
import { addNoticeCommands } from './admin/notices.ts';
import { addPlanCommands } from './admin/plan.ts';
import { addReplicaCommands } from './admin/replicas.ts';
import { addStatementCommand } from './admin/statement.ts';
import { showStatus } from './admin/status.ts';
import { addUsageCommand } from './admin/usage.ts';
import { addWebhookCommands } from './admin/webhook.ts';
import { addWorkerCommands } from './admin/worker.ts';
import { askTerminal } from './ask.ts';
import { CommandError, EXIT } from './command-error.ts';
import type { ProgramContext } from './context.ts';
import { type UpOptions, up } from './up/up.ts';

const WORKERS_MIN = 2;
const WORKERS_MAX = 64;

/** Runs one command line (without `node` and the script). Resolves with the exit code. */
export async function runProgram(
  args: readonly string[],
  context: ProgramContext = systemContext(),
): Promise<number> {
  let exitCode = 0;
  const program = createProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode && EXIT.usage.code;
    if (!(error instanceof CommandError) && !(error instanceof ConfigError)) throw error;
    context.writeError(`bulkhead: ${error.message}\n`);
    return error instanceof CommandError ? error.exitCode : EXIT.failed.code;
  }
}

function systemContext(): ProgramContext {
  // Who reads the output may have seen enough (`| head`); that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  const ask = askTerminal();
  const fileOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  return {
    env: process.env,
    programs: {
      coordinator: fileOf('../../coordinator/main.ts'),
      worker: fileOf('../../worker/main.ts'),
    },
    write: (text) => process.stdout.write(text),
    writeError: (text) => process.stderr.write(text),
    ...(ask && { ask }),
  };
}

function createProgram(context: ProgramContext, setExitCode: (code: number) => void): Command {
  const program = new Command('bulkhead')
    .description(packageJson.description)
    .version(packageJson.version)
    // A command with options may have commands below it with the same ones (`replicas compare`).
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ writeOut: context.write, writeErr: context.writeError });
  const upCommand = program.command('up').description('start the service and keep it running');
  addUpOptions(upCommand).action(async (options: UpOptions) => {
    const sources = { clock: systemClock, random: secureRandom };
    setExitCode(await up(options, { ...context, ...sources }));
  });
  addClientCommands(program, context);
  addCollectionCommands(program, context);
  addUsageCommand(program, context);
  addStatementCommand(program, context);
  addInvoiceCommands(program, context);
  addBudgetCommands(program, context);
  addAnomaliesCommand(program, context);
  addKeyCommands(program, context);
  addPlanCommands(program, context);
  addWorkerCommands(program, context);
  addReplicaCommands(program, context);
  addAuditCommands(program, context);
  addCensusCommands(program, context);
  addNoticeCommands(program, context);
  addWebhookCommands(program, context);
  addAdminOptions(program.command('status').description('show the service and its workers')).action(
    (options: AdminOptions) => withAdmin(options, context.write, showStatus),
  );
  addCompletionCommands(program, context);
  return program;
}

function addUpOptions(command: Command): Command {
  const workers = Math.max(WORKERS_MIN, availableParallelism());
  return command
    .option('--data <dir>', 'folder of everything that is stored', './data')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--port <n>', 'port of the data API; 0 takes a free one', integer(0, 65_535), 6333)
    .option('--admin-port <n>', 'port of the admin API; 0: a free one', integer(0, 65_535), 6335)
    .addOption(
      new Option('--workers <n>', 'worker processes')
        .argParser(integer(1, WORKERS_MAX))
        .default(workers, 'one per core, 2 at least'),
    )
    .option('--json', 'print one JSON object a line', false);
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It is an integer, ${min} to ${max}.`);
  };
}
