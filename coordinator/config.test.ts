import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatHelp } from '../shared/config/format-help.ts';
import { readConfig } from '../shared/config/read-config.ts';
import { COORDINATOR_OPTIONS, coordinatorRelations } from './config.ts';

const SECRET = 'x'.repeat(32);
const FILE = `BULKHEAD_ADMIN_TOKEN=${SECRET}\nBULKHEAD_KEY_PEPPER=${SECRET}\nBULKHEAD_LINK_SECRET=${SECRET}\n`;

test('the help of the coordinator is pinned', () => {
  assert.equal(
    formatHelp(COORDINATOR_OPTIONS),
    `BULKHEAD_DATA_DIR
    folder of control.db; made when it is absent
    path; must be set

BULKHEAD_HOST
    address that the three ports listen on
    text; default 127.0.0.1

BULKHEAD_PORT
    port of the data API; 0 takes a free one
    integer, 0 to 65535; default 6333

BULKHEAD_ADMIN_PORT
    port of the admin API; 0 takes a free one
    integer, 0 to 65535; default 6335

BULKHEAD_LINK_PORT
    port that workers dial; 0 takes a free one
    integer, 0 to 65535; default 6336

BULKHEAD_TRUSTED_PROXIES
    addresses or networks of proxies whose X-Forwarded-For and X-Request-Id are believed, with commas between
    text; default none

BULKHEAD_BILLING_URL
    where clients see and raise their budgets; named when one is spent
    none or an address that begins with https://; default none

BULKHEAD_REQUEST_TIMEOUT_MS
    longest time for one request that does not name a timeout itself
    integer, 100 to 600000 ms; default 30000

BULKHEAD_QUERY_TIMEOUT_MS
    the same for queries; a query to a worker that is away waits this long, then 503
    integer, 100 to 600000 ms; default 10000

BULKHEAD_CURRENCY
    ISO 4217 code of the currency of all prices; change it only while there are no invoices
    text; default EUR

BULKHEAD_AUDIT_RETENTION_DAYS
    for which the operators' audit log is kept, and that of a client that is gone
    integer, 1 to 36500 days; default 3650

BULKHEAD_LOG_LEVEL
    least level that is logged
    one of debug, info, warn, error, silent; default info

BULKHEAD_CENSUS_KEEP_DAYS
    archives of censuses are kept of so many days that have one, the latest; 0 keeps all
    integer, 0 to 100000; default 0

BULKHEAD_MAIL_HOST
    mail server (SMTP); without one there is no mail
    text; default none

BULKHEAD_MAIL_PORT
    its port
    integer, 1 to 65535; default 465

BULKHEAD_MAIL_TLS
    TLS from the first byte, by STARTTLS (required then), or none: on this machine only
    one of implicit, starttls, none; default implicit

BULKHEAD_MAIL_USER
    user at the mail server
    text; default none

BULKHEAD_MAIL_PASSWORD
    its password
    secret, at least 1 characters, in the env file only; optional

BULKHEAD_MAIL_FROM
    address that mails come from
    text; default none

BULKHEAD_MAIL_OPERATORS
    addresses of operators that get mail, with commas between
    text; default none

BULKHEAD_CERTIFICATE_FILES
    certificates (PEM files, with commas between) of whose end operators are told
    text; default none

BULKHEAD_WEBHOOK_PORTS
    ports that webhooks may post to
    ports with commas between; default 443

BULKHEAD_WEBHOOK_ALLOWED_NETWORKS
    networks that are not public and operators' webhooks, never clients', may post to
    text; default none

BULKHEAD_ADMIN_TOKEN
    bearer token of the admin API
    secret, at least 32 characters, in the env file only

BULKHEAD_ADMIN_TOKEN_OLD
    accepted beside it, while whoever knows only this one is told the new one
    secret, at least 32 characters, in the env file only; optional

BULKHEAD_KEY_PEPPER
    key of the digests of API keys
    secret, at least 32 characters, in the env file only

BULKHEAD_LINK_SECRET
    shared with the workers; proves both ends
    secret, at least 32 characters, in the env file only
`,
  );
});

test('the folder and the secrets are all that must be given', () => {
  const env = { BULKHEAD_DATA_DIR: '/d' };
  const config = readConfig(COORDINATOR_OPTIONS, { env, envFileText: FILE }, coordinatorRelations);
  assert.equal(config.port, 6333);
  assert.equal(config.host, '127.0.0.1');
  assert.equal(config.adminTokenOld, '', 'an optional secret is absent');
});

test('an optional secret that is there has to be a good one', () => {
  const sources = {
    env: { BULKHEAD_DATA_DIR: '/d' },
    envFileText: `${FILE}\nBULKHEAD_ADMIN_TOKEN_OLD=short\n`,
  };
  assert.throws(
    () => readConfig(COORDINATOR_OPTIONS, sources, coordinatorRelations),
    /BULKHEAD_ADMIN_TOKEN_OLD needs at least 32 characters/,
  );
});

test('relations between options are checked', () => {
  const env = {
    BULKHEAD_DATA_DIR: '/d',
    BULKHEAD_PORT: '7000',
    BULKHEAD_LINK_PORT: '7000',
    BULKHEAD_QUERY_TIMEOUT_MS: '30001',
    BULKHEAD_CURRENCY: 'eur',
    BULKHEAD_TRUSTED_PROXIES: '10.0.0.0/8,proxy,::1/129',
  };
  const sources = { env, envFileText: FILE };
  assert.throws(() => readConfig(COORDINATOR_OPTIONS, sources, coordinatorRelations), {
    problems: [
      'BULKHEAD_QUERY_TIMEOUT_MS may not be above BULKHEAD_REQUEST_TIMEOUT_MS',
      'BULKHEAD_TRUSTED_PROXIES: proxy is neither an address nor a network',
      'BULKHEAD_TRUSTED_PROXIES: ::1/129 is neither an address nor a network',
      'BULKHEAD_CURRENCY must be an ISO 4217 code, for example EUR',
      'BULKHEAD_PORT, BULKHEAD_ADMIN_PORT and BULKHEAD_LINK_PORT must differ',
    ],
  });
});

test('a mail server has what mail needs, and webhooks stay where they may go', () => {
  const env = {
    BULKHEAD_DATA_DIR: '/d',
    BULKHEAD_MAIL_HOST: 'mail.example.com',
    BULKHEAD_MAIL_TLS: 'none',
    BULKHEAD_MAIL_USER: 'me',
    BULKHEAD_MAIL_OPERATORS: 'a@example.com, c@example.com, b',
    BULKHEAD_WEBHOOK_PORTS: '443,70000',
    BULKHEAD_WEBHOOK_ALLOWED_NETWORKS: '10.0.0.0/8, here',
  };
  assert.throws(
    () => readConfig(COORDINATOR_OPTIONS, { env, envFileText: FILE }, coordinatorRelations),
    {
      problems: [
        'BULKHEAD_MAIL_OPERATORS: one of them is not a mail address',
        'BULKHEAD_MAIL_FROM must be a mail address when BULKHEAD_MAIL_HOST is set',
        'BULKHEAD_MAIL_TLS may be none only for a mail server on this machine',
        'BULKHEAD_MAIL_USER and BULKHEAD_MAIL_PASSWORD are given together or not at all',
        'BULKHEAD_WEBHOOK_ALLOWED_NETWORKS: here is not a network',
        'BULKHEAD_WEBHOOK_PORTS: 70000 is not a port',
      ],
    },
  );
});

test('several ports may be 0: each takes a free one', () => {
  const env = {
    BULKHEAD_DATA_DIR: '/d',
    BULKHEAD_PORT: '0',
    BULKHEAD_ADMIN_PORT: '0',
    BULKHEAD_LINK_PORT: '0',
  };
  const sources = { env, envFileText: FILE };
  assert.equal(readConfig(COORDINATOR_OPTIONS, sources, coordinatorRelations).linkPort, 0);
});
