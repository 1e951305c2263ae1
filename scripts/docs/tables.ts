/** The tables of the documents, each read from the code that it describes. */
import { COORDINATOR_OPTIONS } from '../../coordinator/config.ts';
import { DATA_ENDPOINTS } from '../../coordinator/http/routes/data/endpoints.ts';
import { envNameOf, type OptionTable } from '../../shared/config/option-table.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { ERROR_CODES } from '../../shared/errors/codes.ts';
import { LOG_EVENTS } from '../../shared/log/events.ts';
import { WORKER_OPTIONS } from '../../worker/config.ts';

/** Lines of Markdown by table name. */
export function documentTables(): Record<string, string[]> {
  return {
    errors: table(
      ['code', 'status', 'repeat?', 'meaning'],
      Object.entries(ERROR_CODES).map(([code, { status, retryable, text }]) => [
        `\`${code}\``,
        String(status),
        retryable ? 'yes' : 'no',
        text,
      ]),
    ),
    endpoints: table(
      ['method', 'path', 'kind'],
      DATA_ENDPOINTS.map(({ method, url, kind }) => [method, `\`${url}\``, kind]),
    ),
    limits: table(
      ['bound', 'value'],
      Object.entries(LIMITS).map(([name, value]) => [`\`${name}\``, value.toLocaleString('en-US')]),
    ),
    'coordinator-settings': settings(COORDINATOR_OPTIONS),
    'worker-settings': settings(WORKER_OPTIONS),
    events: table(
      ['event', 'level', 'fields', 'meaning'],
      Object.entries(LOG_EVENTS).map(([name, { level, fields, help }]) => [
        `\`${name}\``,
        level,
        Object.keys(fields).join(', '),
        help,
      ]),
    ),
  };
}

function settings(options: OptionTable): string[] {
  const rows = Object.entries(options).map(([name, spec]) => [
    `\`${envNameOf(name)}\``,
    spec.kind,
    'default' in spec && spec.default !== undefined ? `\`${spec.default}\`` : '(needed)',
    spec.help,
  ]);
  return table(['name', 'kind', 'default', 'meaning'], rows);
}

function table(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
