/**
 * What commands print: for people a table, for programs (`--json`) one object a line. Control
 * characters never reach the terminal: names were chosen by somebody else.
 */
export interface Output {
  json: boolean;
  write(text: string): void;
}

export type Row = Readonly<Record<string, unknown>>;

/** Columns are the fields of the rows, in the order given. */
export function printRows(output: Output, columns: readonly string[], rows: readonly Row[]): void {
  if (output.json) {
    for (const row of rows) printJson(output, row);
    return;
  }
  output.write(formatTable(columns, rows));
}

export function printJson(output: Output, value: Row): void {
  output.write(`${JSON.stringify(value)}\n`);
}

export function formatTable(columns: readonly string[], rows: readonly Row[]): string {
  const cells = rows.map((row) => columns.map((column) => formatCell(row[column])));
  const lines = [columns.map((column) => column.toUpperCase().replaceAll('_', ' ')), ...cells];
  const widths = columns.map((_, index) => {
    return Math.max(...lines.map((line) => (line[index] ?? '').length));
  });
  const format = (line: string[]): string => {
    return line
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd();
  };
  return `${lines.map(format).join('\n')}\n`;
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** Three digits or so: `117 MiB`, `3.4 GiB`. */
export function formatBytes(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 1024 ** step;
  return `${value < 10 && step > 0 ? value.toFixed(1) : Math.round(value)} ${UNITS[step]}`;
}

function formatCell(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return String(value).replace(/\p{Cc}/gu, '?');
}
