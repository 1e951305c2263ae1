/** The coordinator's settings. */
import { isIP } from 'node:net';
import type { Config, OptionTable } from '../shared/config/option-table.ts';
import { LOG_LEVELS } from '../shared/log/events.ts';
import { NOTIFY_OPTIONS, notifyProblems } from './notify-settings.ts';

const PORT = { kind: 'integer', min: 0, max: 65_535 } as const;

export const COORDINATOR_OPTIONS = {
  dataDir: { kind: 'path', help: 'folder of control.db; made when it is absent' },
  host: {
    kind: 'text',
    default: '127.0.0.1',
    help: 'address that the three ports listen on',
  },
  port: { ...PORT, default: 6333, help: 'port of the data API; 0 takes a free one' },
  adminPort: { ...PORT, default: 6335, help: 'port of the admin API; 0 takes a free one' },
  linkPort: { ...PORT, default: 6336, help: 'port that workers dial; 0 takes a free one' },
  trustedProxies: {
    kind: 'text',
    default: 'none',
    help: 'addresses or networks of proxies whose X-Forwarded-For and X-Request-Id are believed, with commas between',
  },
  billingUrl: {
    kind: 'text',
    default: 'none',
    pattern: /^(?:none|https?:\/\/[!-~]+)$/,
    form: 'none or an address that begins with https://',
    help: 'where clients see and raise their budgets; named when one is spent',
  },
  requestTimeoutMs: {
    kind: 'integer',
    default: 30_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    help: 'longest time for one request that does not name a timeout itself',
  },
  queryTimeoutMs: {
    kind: 'integer',
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    help: 'the same for queries; a query to a worker that is away waits this long, then 503',
  },
  currency: {
    kind: 'text',
    default: 'EUR',
    help: 'ISO 4217 code of the currency of all prices; change it only while there are no invoices',
  },
  auditRetentionDays: {
    kind: 'integer',
    default: 3_650,
    min: 1,
    max: 36_500,
    unit: 'days',
    help: "for which the operators' audit log is kept, and that of a client that is gone",
  },
  logLevel: {
    kind: 'choice',
    default: 'info',
    choices: LOG_LEVELS,
    help: 'least level that is logged',
  },
  censusKeepDays: {
    kind: 'integer',
    default: 0,
    min: 0,
    max: 100_000,
    help: 'archives of censuses are kept of so many days that have one, the latest; 0 keeps all',
  },
  ...NOTIFY_OPTIONS,
  adminToken: { kind: 'secret', min: 32, help: 'bearer token of the admin API' },
  adminTokenOld: {
    kind: 'secret',
    min: 32,
    optional: true,
    help: 'accepted beside it, while whoever knows only this one is told the new one',
  },
  keyPepper: { kind: 'secret', min: 32, help: 'key of the digests of API keys' },
  linkSecret: { kind: 'secret', min: 32, help: 'shared with the workers; proves both ends' },
} as const satisfies OptionTable;

export type CoordinatorConfig = Config<typeof COORDINATOR_OPTIONS>;

/** Relations between options; see `loadConfig`. */
export function coordinatorRelations(config: CoordinatorConfig): string[] {
  const problems: string[] = [];
  if (config.queryTimeoutMs > config.requestTimeoutMs) {
    problems.push('BULKHEAD_QUERY_TIMEOUT_MS may not be above BULKHEAD_REQUEST_TIMEOUT_MS');
  }
  for (const proxy of proxiesOf(config)) {
    if (isNetwork(proxy)) continue;
    problems.push(`BULKHEAD_TRUSTED_PROXIES: ${proxy} is neither an address nor a network`);
  }
  if (!Intl.supportedValuesOf('currency').includes(config.currency)) {
    problems.push('BULKHEAD_CURRENCY must be an ISO 4217 code, for example EUR');
  }
  const ports = [config.port, config.adminPort, config.linkPort].filter((port) => port !== 0);
  if (new Set(ports).size < ports.length) {
    problems.push('BULKHEAD_PORT, BULKHEAD_ADMIN_PORT and BULKHEAD_LINK_PORT must differ');
  }
  problems.push(...notifyProblems(config));
  return problems;
}

/** The proxies that are trusted, one by one. */
export function proxiesOf({ trustedProxies }: Pick<CoordinatorConfig, 'trustedProxies'>): string[] {
  return trustedProxies === 'none' ? [] : trustedProxies.split(',');
}

/** `10.0.0.1` or `10.0.0.0/8`, also of IPv6. */
function isNetwork(text: string): boolean {
  const [address = '', bits] = text.split('/');
  const version = isIP(address);
  if (version === 0 || bits === undefined) return version !== 0;
  return /^[0-9]{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128);
}
