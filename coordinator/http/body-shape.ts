/**
 * The first look at what came, before its schema is checked: fields that no schema has, and lists
 * that are too long. It ends at the first one it meets. The schema's own errors are told apart by
 * looking at everything, which takes seconds when somebody sends a million fields; after this look
 * there is no more of anything than the schema has room for.
 */
import type { TSchema } from 'typebox';
import { assert } from '../../shared/base/assert.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';

/** `kind`: what a field is called. `path`: where `data` stands, as a caller writes it. */
export type FindMisfit = (data: unknown, path: string, kind: string) => InvalidInput | undefined;

const NAME_CHARS_MAX = 64;

export function clipName(name: string): string {
  return name.length <= NAME_CHARS_MAX ? name : `${name.slice(0, NAME_CHARS_MAX)}...`;
}

/** Undefined when every value of that schema passes. */
export function compileShape(schema: TSchema): FindMisfit | undefined {
  if ('anyOf' in schema) return compileUnion(schema.anyOf as TSchema[]);
  if (!('type' in schema)) return undefined;
  if (schema.type === 'array') return compileList(schema);
  return schema.type === 'object' ? compileObject(schema) : undefined;
}

/** Of all branches one at most looks into objects or lists: the others are plain values. */
function compileUnion(branches: readonly TSchema[]): FindMisfit | undefined {
  const shapes = branches.map(compileShape).filter((shape) => shape !== undefined);
  assert(shapes.length <= 1, 'a union of several shapes would need to be told apart');
  return shapes[0];
}

function compileList(schema: TSchema): FindMisfit {
  const { items, maxItems = Number.POSITIVE_INFINITY } = schema as TSchema & {
    items?: TSchema;
    maxItems?: number;
  };
  const shape = items === undefined ? undefined : compileShape(items);
  return (data, path, kind) => {
    if (!Array.isArray(data)) return undefined;
    if (data.length > maxItems) return new InvalidInput(path, describeMax(maxItems));
    if (shape === undefined) return undefined;
    for (let i = 0; i < data.length; i += 1) {
      const misfit = shape(data[i], `${path}[${i}]`, kind);
      if (misfit !== undefined) return misfit;
    }
    return undefined;
  };
}

function describeMax(maxItems: number): string {
  return maxItems === 0 ? 'must be empty' : `must not have more than ${maxItems} elements`;
}

function compileObject(schema: TSchema): FindMisfit {
  const { properties = {}, additionalProperties } = schema as TSchema & {
    properties?: Record<string, TSchema>;
    additionalProperties?: unknown;
  };
  const known = new Set(Object.keys(properties));
  const inner = Object.entries(properties).flatMap(([name, property]) => {
    const shape = compileShape(property);
    return shape === undefined ? [] : [{ name, shape }];
  });
  return (data, path, kind) => {
    if (typeof data !== 'object' || data === null || Array.isArray(data)) return undefined;
    if (additionalProperties === false) {
      for (const name in data) {
        if (known.has(name)) continue;
        const clipped = clipName(name);
        const field = path === '' ? clipped : `${path}.${clipped}`;
        return new InvalidInput(path, `unknown ${kind} ${JSON.stringify(clipped)}`, field);
      }
    }
    for (const { name, shape } of inner) {
      const at = path === '' ? name : `${path}.${name}`;
      const misfit = shape((data as Record<string, unknown>)[name], at, kind);
      if (misfit !== undefined) return misfit;
    }
    return undefined;
  };
}
