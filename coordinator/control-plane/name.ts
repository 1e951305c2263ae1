import { isId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';

/**
 * The name that an operator gives to a client or a key: 1 to 128 characters without control
 * and format characters (it is printed to terminals) and without half a surrogate pair (which is no UTF-8).
 * Throws `InvalidInput`.
 */
export function parseName(text: string, path: string): string {
  if (text.trim() === '') throw new InvalidInput(path, 'may not be empty');
  if (text.length > LIMITS.adminNameCharsMax) {
    throw new InvalidInput(path, `may have ${LIMITS.adminNameCharsMax} characters at most`);
  }
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(text) || !text.isWellFormed()) {
    throw new InvalidInput(path, 'may not contain control characters or broken Unicode');
  }
  if (text.trim() !== text) throw new InvalidInput(path, 'may not begin or end with a space');
  if (isId('cl_', text)) throw new InvalidInput(path, 'may not look like the id of a client');
  return text;
}
