/** The tables of the documents, each read from the code that it describes. */
import { COORDINATOR_OPTIONS } from '../../coordinator/config.ts';
import { ADMIN_ENDPOINTS } from '../../coordinator/http/routes/admin/endpoints.ts';
import { DATA_ENDPOINTS } from '../../coordinator/http/routes/data/endpoints.ts';
import { envNameOf, type OptionSpec, type OptionTable } from '../../shared/config/option-table.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { NOTICES } from '../../shared/domain/notices.ts';
import { PERMISSIONS, ROLES, type Role } from '../../shared/domain/permissions.ts';
import { PLAN_LIMITS } from '../../shared/domain/plan.ts';
import { ERROR_CODES } from '../../shared/errors/codes.ts';
import { LOG_EVENTS } from '../../shared/log/events.ts';
import { WORKER_OPTIONS } from '../../worker/config.ts';
import { EXIT } from '../cli/command-error.ts';

const AUDIENCES = { client: 'the client', operators: 'operators' } as const;

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
      ['method', 'path', 'kind', 'permission'],
      DATA_ENDPOINTS.map(({ method, url, kind, needs }) => [method, `\`${url}\``, kind, needs]),
    ),
    'admin-endpoints': table(
      ['method', 'path', 'does'],
      ADMIN_ENDPOINTS.map(({ method, url, help }) => [
        method,
        `\`${url.replace(/:([a-z_]+)/g, '{$1}')}\``,
        help,
      ]),
    ),
    'exit-codes': table(
      ['code', 'meaning'],
      Object.values(EXIT).map(({ code, help }) => [String(code), help]),
    ),
    permissions: table(
      ['permission', ...ROLES, 'allows to'],
      Object.entries(PERMISSIONS).map(([name, { roles, help }]) => {
        const allowed: readonly Role[] = roles;
        return [name, ...ROLES.map((role) => (allowed.includes(role) ? 'yes' : '-')), help];
      }),
    ),
    'plan-limits': table(
      ['limit', 'from', 'to', 'meaning'],
      Object.entries(PLAN_LIMITS).map(([name, { min, max, help }]) => [
        `\`${name}\``,
        min.toLocaleString('en-US'),
        max.toLocaleString('en-US'),
        help,
      ]),
    ),
    notices: table(
      ['type', 'goes to', 'fields', 'when'],
      Object.entries(NOTICES).map(([type, { to, fields, help }]) => [
        `\`${type}\``,
        to.map((audience) => AUDIENCES[audience]).join(', ') || 'what is tested',
        fields.map((field) => `\`${field}\``).join(', '),
        help,
      ]),
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
    defaultOf(spec),
    spec.help,
  ]);
  return table(['name', 'kind', 'default', 'meaning'], rows);
}

function defaultOf(spec: OptionSpec): string {
  if ('default' in spec && spec.default !== undefined) return `\`${spec.default}\``;
  return 'optional' in spec ? '(none)' : '(needed)';
}

function table(head: string[], rows: string[][]): string[] {
  const line = (cells: string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
