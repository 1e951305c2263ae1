/** Amounts of millionths, as people read and write them. */
import { InvalidArgumentError } from 'commander';

const MICROS = 1_000_000n;
const FORM = /^([0-9]{1,20})(?:\.([0-9]{1,6}))?$/;

/** `25.000000 EUR`: all six digits, because bills are exact. */
export function formatAmount(micros: string, currency: string): string {
  const value = BigInt(micros);
  return `${value / MICROS}.${String(value % MICROS).padStart(6, '0')} ${currency}`;
}

/** Millionths of `25` or `25.50`. */
export function parseAmount(text: string): string {
  const [, whole, part = ''] = FORM.exec(text) ?? [];
  if (whole === undefined) {
    throw new InvalidArgumentError('It is an amount with up to six decimals, such as 25.50.');
  }
  return String(BigInt(whole) * MICROS + BigInt(part.padEnd(6, '0')));
}
