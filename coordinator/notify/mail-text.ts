/**
 * What mails say, as text and as HTML: a line for each type of notice that is short enough for a
 * subject, then what there is to know and to do. Texts of others are data: they are cut, lose what could
 * end a line, and are escaped in HTML.
 */
import { LIMITS } from '../../shared/domain/limits.ts';
import { NOTICES, type Notice, type NoticeType } from '../../shared/domain/notices.ts';
import type { NoticeRecord } from '../store/notices.ts';

export interface MailText {
  subject: string;
  text: string;
  html: string;
}

const SUBJECT_CHARS_MAX = 78;
/** A text of others in a subject. */
const QUOTED_CHARS_MAX = 30;

type Data = Notice['data'];

interface Template {
  subject(data: Data): string;
  /** What there is to do about it. */
  advice: string;
}

const TEMPLATES: Readonly<Record<NoticeType, Template>> = {
  'worker.down': {
    subject: (data) => `A worker is down: ${short(data.worker_id)}`,
    advice:
      'Shards without another copy in sync can not be reached until it is back. See its log, and "bulkhead worker list".',
  },
  'worker.up': {
    subject: (data) => `A worker is back: ${short(data.worker_id)}`,
    advice: 'Its copies are brought up to date by themselves; "bulkhead replicas" shows how far.',
  },
  'certificate.expiring': {
    subject: (data) => `A certificate ends soon: ${short(data.file)}`,
    advice: 'Who connects is warned or refused from then on. Renew it, and reload what serves it.',
  },
  'key.expiring': {
    subject: (data) => `An API key ends soon: ${short(data.name)}`,
    advice: 'Requests with it are refused from then on. Extend it, or make another one.',
  },
  'pause.warning': {
    subject: (data) => `A collection will be paused: ${short(data.collection)}`,
    advice: 'A query keeps it as it is. Nothing is deleted when it is paused.',
  },
  'collection.paused': {
    subject: (data) => `A collection was paused: ${short(data.collection)}`,
    advice: 'Its data is kept.',
  },
  'client.paused': {
    subject: (data) => `A client was paused (${short(data.reason)})`,
    advice: 'Its data is kept.',
  },
  'budget.level': {
    subject: (data) => `${short(data.percent)} % of the budget for ${short(data.month)} is used`,
    advice: 'See what is used with GET /v1/usage.',
  },
  'usage.anomaly': {
    subject: (data) => `Unusual use: ${short(data.measure)}`,
    advice: 'An hour was far outside of what is usual. See what was used, and by which key.',
  },
  'invoice.issued': {
    subject: (data) => `Invoice ${short(data.invoice)} for ${short(data.month)}`,
    advice: 'It is final; what is wrong with it is put right by a credit note.',
  },
  'audit.failed': {
    subject: (data) => `The audit chain ${short(data.chain)} is in doubt`,
    advice:
      'Keep a copy of the data folder before anything else, then verify an export of the chain.',
  },
  'census.failed': {
    subject: (data) => `The census of ${short(data.day)} failed`,
    advice: 'What was stored that day is not accounted for until it is repeated.',
  },
  'cold.damaged': {
    subject: (data) => `Paused data is damaged: shard ${short(data.shard_id)}`,
    advice: 'Do not wake it before its files are restored or another copy is in its place.',
  },
  'webhook.disabled': {
    subject: (data) => `A webhook was disabled: ${short(data.webhook_id)}`,
    advice: 'Enable it again when its receiver works; what it missed can be replayed.',
  },
  'notify.test': {
    subject: () => 'A test message',
    advice: 'Mail arrives here. There is nothing to do.',
  },
};

/** `owner` is '' for operators, else the id of the client whose recipient it is. */
export function mailOf(notice: NoticeRecord, owner: string): MailText {
  const { subject, advice } = TEMPLATES[notice.type];
  const facts = factsOf(notice);
  const title = subjectOf(subject(notice.data));
  return {
    subject: title,
    text: [title, '', ...facts.map(([name, value]) => `${name}: ${value}`), '', advice, '']
      .join('\n')
      .concat(footerText(owner)),
    html: page(title, `${tableOf(facts)}<p>${escaped(advice)}</p>`, owner),
  };
}

/** Several notices in one mail, when there were too many for one each. */
export function digestOf(notices: readonly NoticeRecord[], owner: string): MailText {
  const title = `${notices.length} notices`;
  const lines = notices.slice(0, LIMITS.digestNoticesMax).map((notice) => {
    const about = notice.clientId === null ? '' : ` (client ${notice.clientId})`;
    return `${timeOf(notice.at)} ${subjectOf(TEMPLATES[notice.type].subject(notice.data))}${about}`;
  });
  const rest = notices.length - lines.length;
  const all = rest === 0 ? lines : [...lines, `and ${rest} more`];
  const why = 'There were too many for a mail each.';
  const items = all.map((line) => `<li>${escaped(line)}</li>`).join('\n');
  return {
    subject: subjectOf(title),
    text: [title, '', ...all, '', why, ''].join('\n').concat(footerText(owner)),
    html: page(title, `<ul>\n${items}\n</ul><p>${why}</p>`, owner),
  };
}

function factsOf({ type, clientId, data, at }: NoticeRecord): [name: string, value: string][] {
  const fields = Object.entries(data).map(([field, value]): [string, string] => {
    return [labelOf(field), shownOf(field, value)];
  });
  return [
    ['what', NOTICES[type].help],
    ...(clientId === null ? [] : [['client', clientId] as [string, string]]),
    ...fields,
    ['time', timeOf(at)],
  ];
}

function labelOf(field: string): string {
  return field.replace(/_micros$/, '').replaceAll('_', ' ');
}

function shownOf(field: string, value: string | number | null): string {
  if (value === null) return '-';
  if (field.endsWith('_micros')) return moneyOf(value);
  return oneLine(String(value));
}

/** Millionths as units, without a float. */
function moneyOf(value: string | number): string {
  if (!/^-?[0-9]{1,40}$/.test(String(value))) return oneLine(String(value));
  const micros = BigInt(value);
  const size = micros < 0n ? -micros : micros;
  const fraction = String(size % 1_000_000n).padStart(6, '0');
  const sign = micros < 0n ? '-' : '';
  return `${sign}${size / 1_000_000n}.${fraction.replace(/0{1,4}$/, '')}`;
}

function short(value: string | number | null | undefined): string {
  const text = oneLine(String(value ?? '-'));
  return text.length <= QUOTED_CHARS_MAX ? text : `${text.slice(0, QUOTED_CHARS_MAX)}...`;
}

function subjectOf(text: string): string {
  return `[Bulkhead] ${oneLine(text)}`.slice(0, SUBJECT_CHARS_MAX).toWellFormed();
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ').toWellFormed();
}

function timeOf(at: number): string {
  return new Date(at).toISOString();
}

function footerOf(owner: string): string {
  if (owner === '') {
    return 'You get this as an operator of this installation: the setting BULKHEAD_MAIL_OPERATORS names you.';
  }
  return `You get this because you are a mail recipient of the client ${owner}. To change that, send PUT /v1/notifications with an admin key, or ask your operator.`;
}

function footerText(owner: string): string {
  return `\n-- \n${footerOf(owner)}\n`;
}

function page(title: string, inner: string, owner: string): string {
  return [
    '<!doctype html>',
    `<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title></head>`,
    `<body style="font-family:sans-serif"><h1 style="font-size:1.2em">${escaped(title)}</h1>`,
    inner,
    `<p style="color:#666;font-size:0.9em">${escaped(footerOf(owner))}</p></body></html>`,
    '',
  ].join('\n');
}

function tableOf(facts: readonly [string, string][]): string {
  const rows = facts.map(([name, value]) => {
    return `<tr><th align="left">${escaped(name)}</th><td>${escaped(value)}</td></tr>`;
  });
  return `<table>\n${rows.join('\n')}\n</table>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ENTITIES[char] ?? '');
}
