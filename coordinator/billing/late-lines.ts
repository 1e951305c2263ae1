/**
 * What reached the ledger after a month was billed: of each line of its statement as it is now, the quantity
 * beyond what was billed, and of each item the amount that the month now comes to beyond what was billed.
 */
import { must } from '../../shared/base/assert.ts';
import type { BilledLine } from './statement.ts';

/** `now`: the statement of the month; `billed`: lines of invoices, those of other months do not count. */
export function lateLines(now: readonly BilledLine[], billed: readonly BilledLine[]): BilledLine[] {
  const known = Map.groupBy(billed, nameOf);
  const grown = now.flatMap((line) => {
    const before = known.get(nameOf(line)) ?? [];
    const quantity = line.quantity - sumOf(before, 'quantity');
    const amountMicros = line.amountMicros - sumOf(before, 'amountMicros');
    return quantity > 0n ? [{ ...line, quantity, amountMicros }] : [];
  });
  const items = [...Map.groupBy(grown, ({ item }) => item)];
  return items.flatMap(([item, lines]) => {
    const ofItem = now.filter((line) => line.item === item);
    const paid = ofItem.flatMap((line) => known.get(nameOf(line)) ?? []);
    return shared(lines, sumOf(ofItem, 'amountMicros') - sumOf(paid, 'amountMicros'));
  });
}

/** The lines with amounts that come to `total`, none below 0: rounding may have moved one from line to line. */
function shared(lines: readonly BilledLine[], total: bigint): BilledLine[] {
  let left = total > 0n ? total : 0n;
  const last = must(lines.at(-1), 'an item has a line');
  return lines.map((line) => {
    const wanted = line.amountMicros > 0n ? line.amountMicros : 0n;
    const amountMicros = line === last || wanted > left ? left : wanted;
    left -= amountMicros;
    return { ...line, amountMicros };
  });
}

function nameOf({ item, planId, from, until, unitPriceMicros }: BilledLine): string {
  return JSON.stringify([item, planId, from, until, unitPriceMicros]);
}

function sumOf(lines: readonly BilledLine[], field: 'quantity' | 'amountMicros'): bigint {
  return lines.reduce((sum, line) => sum + line[field], 0n);
}
