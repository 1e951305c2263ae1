/**
 * Checks of requests against their schemas, with sentences that name the field and say what to
 * change. Nothing is coerced and nothing is stripped: what arrives either fits or is refused, so a
 * misspelt field can never become a silent default. Values of a query string are texts and their
 * schemas say so (`Type.Enum(['true', 'false'])`, `formedText(...)`).
 *
 * A server uses it as `server.setValidatorCompiler(createValidatorCompiler())`. A refusal reaches
 * the server's error handler as an `InvalidInput`, which `toAppError` (`errors.ts`) maps to 400.
 */
import Type, { type Static, type TProperties, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { clipName, compileShape } from './body-shape.ts';

/** An object without further fields. */
export function closedObject<P extends TProperties>(properties: P) {
  return Type.Object(properties, { additionalProperties: false });
}

/** A field that may be absent or null; stock clients send either for "not given". */
export function nullable<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]));
}

/** A text of a given form; `form` is the sentence for one that has another. */
export function formedText(pattern: string, form: string) {
  return Type.Optional(Type.String({ pattern, form }));
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
    const findMisfit = compileShape(route.schema as TSchema);
    const part = (route.httpPart ?? 'body') as HttpPart;
    const kind = part === 'querystring' ? 'parameter' : 'field';
    return (data) => {
      const misfit = findMisfit?.(data, '', kind);
      if (misfit !== undefined) return { error: misfit };
      if (validator.Check(data)) return { value: data };
      const errors = validator.Errors(data);
      return { error: describeErrors({ errors, data, part, kind, schema: route.schema }) };
    };
  };
}

const PART_NAMES: Record<HttpPart, string> = {
  body: 'the body',
  querystring: 'the query string',
  params: 'the path',
  headers: 'the headers',
};

interface Seen {
  errors: readonly TLocalizedValidationError[];
  data: unknown;
  part: HttpPart;
  kind: string;
  schema: unknown;
}

function describeErrors(seen: Seen): InvalidInput {
  const chosen = chooseError(seen.errors);
  if (chosen === undefined) return new InvalidInput('', `${PART_NAMES[seen.part]} is not valid`);
  const path = formatPointer(chosen.instancePath);
  const where = path === '' && chosen.keyword === 'type' ? PART_NAMES[seen.part] : path;
  return new InvalidInput(where, problemOf(chosen, seen), fieldOf(path, chosen));
}

function fieldOf(path: string, error: TLocalizedValidationError): string {
  if (error.keyword !== 'required') return path;
  const [name = ''] = error.params.requiredProperties;
  return path === '' ? name : `${path}.${name}`;
}

/**
 * The error that says most. A union reports every branch: a missing field and a bound that was
 * passed tell more than "must match a schema in anyOf" or "must be null".
 */
function chooseError(
  errors: readonly TLocalizedValidationError[],
): TLocalizedValidationError | undefined {
  return (
    errors.find((error) => error.keyword === 'required') ??
    errors.find((error) => !['boolean', 'anyOf', 'type'].includes(error.keyword)) ??
    errors.find((error) => error.keyword === 'type') ??
    errors[0]
  );
}

function problemOf(error: TLocalizedValidationError, seen: Seen): string {
  switch (error.keyword) {
    case 'required':
      return `the ${seen.kind} ${quoteNames(error.params.requiredProperties)} is missing`;
    case 'type':
      return typeProblem(error.instancePath, seen);
    case 'enum':
      return `must be one of ${quoteNames(error.params.allowedValues)}`;
    case 'minimum':
    case 'maximum':
      return `must be ${error.params.comparison} ${error.params.limit}`;
    case 'pattern':
      return formOf(valueAt(seen.schema, error.schemaPath)) ?? error.message;
    default:
      return error.message;
  }
}

function formOf(schema: unknown): string | undefined {
  if (typeof schema !== 'object' || schema === null || !('form' in schema)) return undefined;
  return typeof schema.form === 'string' ? schema.form : undefined;
}

/** "must be an integer", with all the types that a union allows; null is not worth a word. */
function typeProblem(instancePath: string, { errors, data }: Seen): string {
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
    else text += `${text === '' ? '' : '.'}${clipName(step)}`;
  }
  return text;
}

function pointerSteps(pointer: string): string[] {
  const steps = pointer.split('/').slice(1);
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
}

const NAMES_SHOWN_MAX = 8;

function quoteNames(names: readonly unknown[]): string {
  const shown = names
    .slice(0, NAMES_SHOWN_MAX)
    .map((name) => JSON.stringify(clipName(String(name))));
  return shown.join(', ') + (names.length > shown.length ? ', ...' : '');
}
