/** Places in the caller's document, as `InvalidInput` names them. */
import { InvalidInput } from '../../shared/base/invalid.ts';

/** The path of a field inside the object at `path`. */
export function within(path: string, field: string): string {
  return path === '' ? field : `${path}.${field}`;
}

const NAME_CHARS_MAX = 64;

export function unknownField(path: string, field: string): InvalidInput {
  return new InvalidInput(path, `unknown field ${JSON.stringify(field.slice(0, NAME_CHARS_MAX))}`);
}

/** Throws `InvalidInput` for a field of `object` that is not in `known`. */
export function refuseUnknown(object: object, known: readonly string[], path: string): void {
  for (const field of Object.keys(object)) {
    if (!known.includes(field)) throw unknownField(path, field);
  }
}
