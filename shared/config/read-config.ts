/**
 * Turns environment and env file into typed settings. Nothing is guessed: a value out of range,
 * an unknown `BULKHEAD_*` name or a missing secret keeps the process from starting, and every
 * problem is reported at once. Ordinary options may stand in the environment or in the env file
 * (the environment wins); secrets stand in the env file only, since the environment of a process
 * is inherited by its children and shown by `ps e`.
 */
import { resolve } from 'node:path';
import { unreachable } from '../base/assert.ts';
import { ConfigError } from './config-error.ts';
import { parseEnvFile, readEnvFile } from './env-file.ts';
import {
  type Config,
  ENV_FILE_NAME,
  ENV_PREFIX,
  envNameOf,
  type IntegerOption,
  type OptionSpec,
  type OptionTable,
  type SecretOption,
  type TextOption,
} from './option-table.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface ConfigSources {
  env: Environment;
  /** The text of the env file; absent when none is named. */
  envFileText?: string;
}

/**
 * Relations between options: sentences for those that do not hold. They are asked only once every
 * option by itself is right.
 */
export type ConfigRelations<T extends OptionTable> = (config: Config<T>) => string[];

/** Reads the env file that `BULKHEAD_ENV_FILE` names, if any, then the settings. */
export function loadConfig<T extends OptionTable>(
  table: T,
  env: Environment,
  relations?: ConfigRelations<T>,
): Config<T> {
  const path = env[ENV_FILE_NAME];
  const sources = path === undefined ? { env } : { env, envFileText: readEnvFile(path) };
  return readConfig(table, sources, relations);
}

/** Throws `ConfigError` with every problem. */
export function readConfig<T extends OptionTable>(
  table: T,
  sources: ConfigSources,
  relations: ConfigRelations<T> = () => [],
): Config<T> {
  const problems: string[] = [];
  const file = parseEnvFile(sources.envFileText ?? '', problems);
  const values: Record<string, string | number> = {};
  for (const [option, spec] of Object.entries(table)) {
    const found = readOption(option, spec, sources.env, file);
    if ('problem' in found) problems.push(found.problem);
    else values[option] = found.value;
  }
  problems.push(...unknownNames(table, sources.env, file));
  const config = values as Config<T>;
  if (problems.length === 0) problems.push(...relations(config));
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config);
}

type Found = { value: string | number } | { problem: string };

function readOption(
  option: string,
  spec: OptionSpec,
  env: Environment,
  file: ReadonlyMap<string, string>,
): Found {
  const name = envNameOf(option);
  if (spec.kind === 'secret') return readSecret(name, spec, env, file);
  const text = env[name] ?? file.get(name);
  if (text !== undefined) return parseOption(name, spec, text);
  if (spec.default === undefined) return { problem: `${name} is needed: ${spec.help}` };
  return spec.kind === 'path' ? { value: resolve(spec.default) } : { value: spec.default };
}

function readSecret(
  name: string,
  spec: SecretOption,
  env: Environment,
  file: ReadonlyMap<string, string>,
): Found {
  if (env[name] !== undefined) {
    return { problem: `${name} is a secret: take it out of the environment, into the env file` };
  }
  const value = file.get(name);
  if (value === undefined && spec.optional === true) return { value: '' };
  if (value === undefined) {
    return { problem: `${name} is needed in the file named by ${ENV_FILE_NAME}: ${spec.help}` };
  }
  if (value.length < spec.min) return { problem: `${name} needs at least ${spec.min} characters` };
  return { value };
}

function parseOption(name: string, spec: Exclude<OptionSpec, SecretOption>, text: string): Found {
  switch (spec.kind) {
    case 'integer':
      return parseInteger(name, spec, text);
    case 'text':
      return parseText(name, spec, text);
    case 'path':
      if (text === '' || text.includes('\0')) return { problem: `${name} is not a path` };
      return { value: resolve(text) };
    case 'choice':
      if (spec.choices.includes(text)) return { value: text };
      return { problem: `${name} is ${quote(text)}; it can be: ${spec.choices.join(', ')}` };
    default:
      return unreachable(spec);
  }
}

function parseInteger(name: string, spec: IntegerOption, text: string): Found {
  const value = /^-?[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= spec.min && value <= spec.max) return { value };
  return { problem: `${name} is ${quote(text)}; it is an integer, ${spec.min} to ${spec.max}` };
}

function parseText(name: string, spec: TextOption, text: string): Found {
  if (text === '') return { problem: `${name} is empty` };
  if (spec.pattern === undefined || spec.pattern.test(text)) return { value: text };
  return { problem: `${name} is ${quote(text)}; it has the form ${spec.form ?? spec.pattern}` };
}

/** Names that no option has: a typing error must not become a quiet default. */
function unknownNames(
  table: OptionTable,
  env: Environment,
  file: ReadonlyMap<string, string>,
): string[] {
  const known = new Set(Object.keys(table).map(envNameOf));
  const advice = `known are ${[...known, ENV_FILE_NAME].sort().join(', ')}`;
  const inEnv = Object.keys(env).filter(
    (name) => name.startsWith(ENV_PREFIX) && name !== ENV_FILE_NAME && !known.has(name),
  );
  const inFile = [...file.keys()].filter((name) => !known.has(name));
  return [
    ...inEnv.map((name) => `${name} is not an option; ${advice}`),
    ...inFile.map((name) => `env file: ${name} is not an option; ${advice}`),
  ];
}

function quote(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
