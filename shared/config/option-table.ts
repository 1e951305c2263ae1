/**
 * Settings as a table: name, kind, range, default and help of each option in one place. A process
 * declares its table once (`coordinator/config.ts`, `worker/config.ts`) and gets a typed object.
 *
 * The option `diskReserveBytes` is set by `BULKHEAD_DISK_RESERVE_BYTES`. An option without a
 * default must be set, but for an optional secret. Secrets come only from the env file.
 */

interface Described {
  help: string;
}

export interface IntegerOption extends Described {
  kind: 'integer';
  default?: number;
  min: number;
  max: number;
  /** `ms`, `bytes`, ...: shown in the help. */
  unit?: string;
}

export interface TextOption extends Described {
  kind: 'text';
  default?: string;
  /** The whole value must match; `form` says so in words. */
  pattern?: RegExp;
  form?: string;
}

/** A file or folder; made absolute. */
export interface PathOption extends Described {
  kind: 'path';
  default?: string;
}

export interface ChoiceOption extends Described {
  kind: 'choice';
  default?: string;
  choices: readonly string[];
}

export interface SecretOption extends Described {
  kind: 'secret';
  /** Shortest length in characters. */
  min: number;
  /** It need not be there, and is '' then. */
  optional?: true;
}

export type OptionSpec = IntegerOption | TextOption | PathOption | ChoiceOption | SecretOption;
export type OptionTable = Readonly<Record<string, OptionSpec>>;

type OptionValue<S extends OptionSpec> = S extends IntegerOption
  ? number
  : S extends { kind: 'choice'; choices: readonly (infer C)[] }
    ? C
    : string;

/** The settings that `table` describes. */
export type Config<T extends OptionTable> = { readonly [Name in keyof T]: OptionValue<T[Name]> };

export const ENV_PREFIX = 'BULKHEAD_';
/** Names the file that holds the secrets; understood by every process. */
export const ENV_FILE_NAME = `${ENV_PREFIX}ENV_FILE`;

/** `diskReserveBytes` -> `BULKHEAD_DISK_RESERVE_BYTES`. */
export function envNameOf(option: string): string {
  return ENV_PREFIX + option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
