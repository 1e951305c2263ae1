/** Words of a text as full-text matching sees them: lower-case runs of letters and digits. */
export function tokenize(text: string): string[] {
  return [...new Set(text.toLowerCase().match(/[\p{Alphabetic}\p{N}]+/gu) ?? [])];
}
