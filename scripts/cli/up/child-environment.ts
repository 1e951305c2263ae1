/**
 * What of this process's environment a child gets. A child refuses `BULKHEAD_*` names that are not
 * its own, so each is passed to the programs whose option table has it; those that `up` sets
 * itself, secrets, and names that nobody knows are refused here, before anything starts.
 */
import { COORDINATOR_OPTIONS } from '../../../coordinator/config.ts';
import { COMPILE_CACHE_NAME } from '../../../shared/base/compile-cache.ts';
import { ConfigError } from '../../../shared/config/config-error.ts';
import {
  ENV_FILE_NAME,
  ENV_PREFIX,
  envNameOf,
  type OptionTable,
} from '../../../shared/config/option-table.ts';
import { readConfig } from '../../../shared/config/read-config.ts';
import { WORKER_OPTIONS } from '../../../worker/config.ts';

export type Environment = Record<string, string>;

/** Names of the system that programs expect to find. */
const SYSTEM_NAMES = [
  'PATH',
  'HOME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'NODE_OPTIONS',
  COMPILE_CACHE_NAME,
];

/** Set by `up` for its children; the value is what to use instead. */
const SET_BY_UP: Record<string, string> = {
  [ENV_FILE_NAME]: '--data, which holds the env files',
  [envNameOf('dataDir')]: '--data',
  [envNameOf('host')]: '--host',
  [envNameOf('port')]: '--port',
  [envNameOf('adminPort')]: '--admin-port',
  [envNameOf('linkPort')]: 'nothing: up connects its workers itself',
  [envNameOf('coordinatorUrl')]: 'nothing: up connects its workers itself',
};

/** Read by programs that use the service, which share a shell with it. */
const NAMES_OF_OTHERS = new Set(['BULKHEAD_API_KEY']);

/** Throws a `ConfigError` that lists every name and every value which can not be passed on. */
export function childEnvironments(env: Readonly<Record<string, string | undefined>>): {
  coordinator: Environment;
  worker: Environment;
} {
  const system = pick(env, SYSTEM_NAMES);
  const coordinatorNames = settableNames(COORDINATOR_OPTIONS);
  const workerNames = settableNames(WORKER_OPTIONS);
  const unknown = Object.keys(env)
    .filter((name) => name.startsWith(ENV_PREFIX) && !NAMES_OF_OTHERS.has(name))
    .filter((name) => !coordinatorNames.includes(name) && !workerNames.includes(name))
    .map((name) => describeProblem(name));
  const problems = new Set([
    ...unknown,
    ...valueProblems(COORDINATOR_OPTIONS, env),
    ...valueProblems(WORKER_OPTIONS, env),
  ]);
  if (problems.size > 0) throw new ConfigError([...problems]);
  return {
    coordinator: { ...system, ...pick(env, coordinatorNames) },
    worker: { ...system, ...pick(env, workerNames) },
  };
}

/** The options that the environment of `up` may set. */
function settable(table: OptionTable): OptionTable {
  return Object.fromEntries(
    Object.entries(table).filter(
      ([option, spec]) => spec.kind !== 'secret' && !Object.hasOwn(SET_BY_UP, envNameOf(option)),
    ),
  );
}

function settableNames(table: OptionTable): string[] {
  return Object.keys(settable(table)).map(envNameOf);
}

/** A child would say it too, but only the first child, in a line of its log. */
function valueProblems(
  table: OptionTable,
  env: Readonly<Record<string, string | undefined>>,
): readonly string[] {
  const options = settable(table);
  try {
    readConfig(options, { env: pick(env, Object.keys(options).map(envNameOf)) });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function describeProblem(name: string): string {
  const instead = SET_BY_UP[name];
  if (instead !== undefined) return `${name} is set by bulkhead up itself; use ${instead}`;
  return `${name} is not a setting that can stand in the environment`;
}

function pick(
  env: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): Environment {
  const picked: Environment = {};
  for (const name of names) {
    const value = env[name];
    if (value !== undefined) picked[name] = value;
  }
  return picked;
}
