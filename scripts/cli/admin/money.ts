/** Amounts of millionths, as people read them. */

const MICROS = 1_000_000n;

/** `25.000000 EUR`: all six digits, because a statement is exact. */
export function formatAmount(micros: string, currency: string): string {
  const value = BigInt(micros);
  return `${value / MICROS}.${String(value % MICROS).padStart(6, '0')} ${currency}`;
}
