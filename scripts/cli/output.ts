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

function formatCell(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return String(value).replace(/\p{Cc}/gu, '?');
}
