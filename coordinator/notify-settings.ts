/** The settings of mail and webhooks. */
import type { Config, OptionTable } from '../shared/config/option-table.ts';
import { LIMITS } from '../shared/domain/limits.ts';
import { parseMailAddress } from './notify/mail-address.ts';
import { MAIL_TLS, type SmtpSettings } from './notify/smtp-session.ts';
import { parseNetwork } from './notify/target-guard.ts';

const NONE = 'none';

export const NOTIFY_OPTIONS = {
  mailHost: {
    kind: 'text',
    default: NONE,
    help: 'mail server (SMTP); without one there is no mail',
  },
  mailPort: { kind: 'integer', default: 465, min: 1, max: 65_535, help: 'its port' },
  mailTls: {
    kind: 'choice',
    default: 'implicit',
    choices: MAIL_TLS,
    help: 'TLS from the first byte, by STARTTLS (required then), or none: on this machine only',
  },
  mailUser: { kind: 'text', default: NONE, help: 'user at the mail server' },
  mailPassword: { kind: 'secret', min: 1, optional: true, help: 'its password' },
  mailFrom: { kind: 'text', default: NONE, help: 'address that mails come from' },
  mailOperators: {
    kind: 'text',
    default: NONE,
    help: 'addresses of operators that get mail, with commas between',
  },
  certificateFiles: {
    kind: 'text',
    default: NONE,
    help: 'certificates (PEM files, with commas between) of whose end operators are told',
  },
  webhookPorts: {
    kind: 'text',
    default: '443',
    pattern: /^[1-9][0-9]{0,4}(?:,[1-9][0-9]{0,4}){0,15}$/,
    form: 'ports with commas between',
    help: 'ports that webhooks may post to',
  },
  webhookAllowedNetworks: {
    kind: 'text',
    default: NONE,
    help: "networks that are not public and operators' webhooks, never clients', may post to",
  },
} as const satisfies OptionTable;

type NotifyConfig = Config<typeof NOTIFY_OPTIONS>;

export interface MailSettings extends SmtpSettings {
  from: string;
  operators: string[];
}

/** Undefined when there is no mail server. */
export function mailSettingsOf(config: NotifyConfig): MailSettings | undefined {
  if (config.mailHost === NONE) return undefined;
  return {
    host: config.mailHost,
    port: config.mailPort,
    tls: config.mailTls,
    user: config.mailUser === NONE ? '' : config.mailUser,
    password: config.mailPassword,
    from: parseMailAddress(config.mailFrom) ?? config.mailFrom,
    operators: operatorsOf(config).map((address) => parseMailAddress(address) ?? address),
  };
}

export function certificateFilesOf({ certificateFiles }: NotifyConfig): string[] {
  return certificateFiles === NONE ? [] : listOf(certificateFiles);
}

export function webhookPortsOf({ webhookPorts }: NotifyConfig): number[] {
  return webhookPorts.split(',').map(Number);
}

export function allowedNetworksOf({ webhookAllowedNetworks }: NotifyConfig): string[] {
  return webhookAllowedNetworks === NONE ? [] : listOf(webhookAllowedNetworks);
}

/** What does not fit together; see `loadConfig`. */
export function notifyProblems(config: NotifyConfig): string[] {
  const networks = allowedNetworksOf(config).filter((network) => !isNetwork(network));
  const ports = webhookPortsOf(config).filter((port) => port > 65_535);
  return [
    ...mailProblems(config),
    ...networks.map((text) => `BULKHEAD_WEBHOOK_ALLOWED_NETWORKS: ${text} is not a network`),
    ...ports.map((port) => `BULKHEAD_WEBHOOK_PORTS: ${port} is not a port`),
  ];
}

function mailProblems(config: NotifyConfig): string[] {
  const { mailHost, mailTls, mailUser, mailPassword, mailFrom } = config;
  const operators = operatorsOf(config);
  const bad = operators.filter((address) => parseMailAddress(address) === undefined);
  // Addresses are not repeated: problems are logged.
  const problems = bad.map(() => 'BULKHEAD_MAIL_OPERATORS: one of them is not a mail address');
  if (operators.length > LIMITS.mailRecipientsMax) {
    problems.push(`BULKHEAD_MAIL_OPERATORS: at most ${LIMITS.mailRecipientsMax} addresses`);
  }
  if (mailHost === NONE) return problems;
  if (parseMailAddress(mailFrom) === undefined) {
    problems.push('BULKHEAD_MAIL_FROM must be a mail address when BULKHEAD_MAIL_HOST is set');
  }
  if (mailTls === NONE && !isThisMachine(mailHost)) {
    problems.push('BULKHEAD_MAIL_TLS may be none only for a mail server on this machine');
  }
  if ((mailUser === NONE) !== (mailPassword === '')) {
    problems.push('BULKHEAD_MAIL_USER and BULKHEAD_MAIL_PASSWORD are given together or not at all');
  }
  return problems;
}

function operatorsOf({ mailOperators }: NotifyConfig): string[] {
  return mailOperators === NONE ? [] : listOf(mailOperators);
}

/** Spaces beside the commas mean nothing. */
function listOf(text: string): string[] {
  return text.split(',').map((part) => part.trim());
}

function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.[0-9]{1,3}){3}$/.test(host);
}

function isNetwork(text: string): boolean {
  try {
    parseNetwork(text);
    return true;
  } catch {
    // The library says no more than that it is none.
    return false;
  }
}
