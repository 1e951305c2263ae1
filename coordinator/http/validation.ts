/**
 * Checks of requests against their schemas, with sentences that name the field and say what to
 * change. Nothing is coerced and nothing is stripped: what arrives either fits or is refused, so a
 * misspelt field can never become a silent default. Values of a query string are texts and their
 * schemas say so (`Type.Enum(['true', 'false'])`, `Type.String({ pattern: ... })`).
 *
 * A server uses it as `server.setValidatorCompiler(createValidatorCompiler())`. A refusal reaches
 * the server's error handler as an `InvalidInput`, which `toAppError` (`errors.ts`) maps to 400.
 */
import Type, { type Static, type TProperties, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { InvalidInput } from '../../shared/base/invalid.ts';

/** An object without further fields. */
export function closedObject<P extends TProperties>(properties: P) {
  return Type.Object(properties, { additionalProperties: false });
}

/** A field that may be absent or null; stock clients send either for "not given". */
export function nullable<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]));
}

/** A field whose content a parser checks later, in one pass and with its own sentences. */
export const Unchecked = Type.Optional(Type.Unknown());

export type SchemaValue<T extends TSchema> = Static<T>;

type HttpPart = 'body' | 'querystring' | 'params' | 'headers';
type Validate = (data: unknown) => { value: unknown } | { error: InvalidInput };

/** The `validatorCompiler` of both HTTP servers. Each schema is compiled once, at registration. */
export function createValidatorCompiler() {
  return (route: { schema: unknown; httpPart?: string }): Validate => {
    const validator = Compile(route.schema as TSchema);
    const part = (route.httpPart ?? 'body') as HttpPart;
    return (data) => {
      if (validator.Check(data)) return { value: data };
      return { error: describeErrors(validator.Errors(data), data, part) };
    };
  };
}

/** The public sentence of a failed validation; undefined when `error` is something else. */
export function describeValidation(error: unknown): string | undefined {
  return error instanceof InvalidInput ? error.message : undefined;
}

const PART_NAMES: Record<HttpPart, string> = {
  body: 'the body',
  querystring: 'the query string',
  params: 'the path',
  headers: 'the headers',
};

function describeErrors(
  errors: readonly TLocalizedValidationError[],
  data: unknown,
  part: HttpPart,
): InvalidInput {
  const chosen = chooseError(errors);
  if (chosen === undefined) return new InvalidInput('', `${PART_NAMES[part]} is not valid`);
  const path = formatPointer(chosen.instancePath);
  const where = path === '' && chosen.keyword === 'type' ? PART_NAMES[part] : path;
  return new InvalidInput(where, problemOf(chosen, errors, data, part));
}

/**
 * The error that says most. A union reports every branch: an unknown or a missing field and a
 * bound that was passed tell more than "must match a schema in anyOf" or "must be null".
 */
function chooseError(
  errors: readonly TLocalizedValidationError[],
): TLocalizedValidationError | undefined {
  return (
    errors.find((error) => error.keyword === 'additionalProperties') ??
    errors.find((error) => error.keyword === 'required') ??
    errors.find((error) => !['boolean', 'anyOf', 'type'].includes(error.keyword)) ??
    errors.find((error) => error.keyword === 'type') ??
    errors[0]
  );
}

function problemOf(
  error: TLocalizedValidationError,
  errors: readonly TLocalizedValidationError[],
  data: unknown,
  part: HttpPart,
): string {
  const kind = part === 'querystring' ? 'parameter' : 'field';
  switch (error.keyword) {
    case 'additionalProperties':
      return `unknown ${kind} ${quoteNames(error.params.additionalProperties)}`;
    case 'required':
      return `the ${kind} ${quoteNames(error.params.requiredProperties)} is missing`;
    case 'type':
      return typeProblem(error.instancePath, errors, data);
    case 'enum':
      return `must be one of ${quoteNames(error.params.allowedValues)}`;
    case 'minimum':
    case 'maximum':
      return `must be ${error.params.comparison} ${error.params.limit}`;
    default:
      return error.message;
  }
}

/** "must be an integer", with all the types that a union allows; null is not worth a word. */
function typeProblem(
  instancePath: string,
  errors: readonly TLocalizedValidationError[],
  data: unknown,
): string {
  const types = new Set<string>();
  for (const error of errors) {
    if (error.keyword !== 'type' || error.instancePath !== instancePath) continue;
    for (const type of [error.params.type].flat()) types.add(type);
  }
  if (types.size > 1) types.delete('null');
  if (types.has('integer') && typeof valueAt(data, instancePath) === 'bigint') {
    return 'the integer is too large';
  }
  return `must be ${[...types].map(withArticle).join(' or ')}`;
}

function withArticle(type: string): string {
  if (type === 'null') return type;
  if (type === 'object') return 'a JSON object';
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function valueAt(data: unknown, pointer: string): unknown {
  let value = data;
  for (const step of pointerSteps(pointer)) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

/** `/points/3/vector` as a caller writes it: `points[3].vector`. */
function formatPointer(pointer: string): string {
  let text = '';
  for (const step of pointerSteps(pointer)) {
    if (/^[0-9]+$/.test(step)) text += `[${step}]`;
    else text += `${text === '' ? '' : '.'}${clip(step)}`;
  }
  return text;
}

function pointerSteps(pointer: string): string[] {
  const steps = pointer.split('/').slice(1);
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

const NAMES_SHOWN_MAX = 8;
const NAME_CHARS_MAX = 64;

function quoteNames(names: readonly unknown[]): string {
  const shown = names.slice(0, NAMES_SHOWN_MAX).map((name) => JSON.stringify(clip(String(name))));
  return shown.join(', ') + (names.length > shown.length ? ', ...' : '');
}

function clip(name: string): string {
  return name.length <= NAME_CHARS_MAX ? name : `${name.slice(0, NAME_CHARS_MAX)}...`;
}
