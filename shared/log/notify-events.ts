/** Rows of the table of log events (`events.ts`): what operators and clients are told, and how it goes out. */
export const NOTIFY_EVENTS = {
  notice_told: {
    level: 'info',
    fields: { type: 'text', noticeId: 'text', clientId: 'text', targets: 'number' },
    help: 'a notice was recorded; targets counts the mail addresses and webhooks that it goes to',
  },
  notice_failed: {
    level: 'error',
    fields: { type: 'text', error: 'error' },
    help: 'a notice could not be recorded, so nobody is told of it unless it is told again',
  },
  certificate_unread: {
    level: 'warn',
    fields: { file: 'text', error: 'error' },
    help: 'a file of BULKHEAD_CERTIFICATE_FILES can not be read or has no certificate; looked at again each hour',
  },
  mail_off: {
    level: 'info',
    fields: {},
    help: 'there is no mail, because no mail server is set',
  },
  mail_tried: {
    level: 'info',
    fields: {
      noticeId: 'text',
      notices: 'number',
      outcome: 'text',
      code: 'number',
      problem: 'text',
    },
    help: 'a mail was tried; outcome says whether the server took it, refused it, or neither',
  },
  mail_unknown: {
    level: 'warn',
    fields: { mails: 'number', problem: 'text' },
    help: 'nobody knows whether the mail server took a mail that was being handed over; it is not sent again',
  },
  mail_server_failed: {
    level: 'warn',
    fields: { problem: 'text', failures: 'number', delayMs: 'number' },
    help: 'the mail server can not be reached or refuses us; tried again later',
  },
  webhook_called: {
    level: 'info',
    fields: {
      webhookId: 'text',
      clientId: 'text',
      noticeId: 'text',
      attempts: 'number',
      status: 'number',
      problem: 'text',
    },
    help: 'a webhook was called; without a status 2xx it is called again later',
  },
  webhook_disabled: {
    level: 'warn',
    fields: { webhookId: 'text', clientId: 'text', reason: 'text' },
    help: 'a webhook gets nothing any more: its receiver is gone or has failed for days',
  },
  webhook_changed: {
    level: 'info',
    fields: { webhookId: 'text', clientId: 'text', action: 'text' },
    help: 'a webhook was made, changed or removed by its owner',
  },
  recipients_changed: {
    level: 'info',
    fields: { clientId: 'text', recipients: 'number' },
    help: 'a client has other mail recipients now',
  },
  notices_forgotten: {
    level: 'info',
    fields: { ended: 'number', forgotten: 'number' },
    help: 'deliveries that nobody tried any more have ended, and old notices are gone',
  },
} as const;
