/**
 * A mail server of its own, as `mail-server.ts` starts it. Argument: `tls`, `starttls` or `plain`. How it treats a mail
 * is the local part of its recipient, up to a `+`. What it takes it tells its parent before
 * it answers.
 */
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from 'smtp-server';
import { TEST_CERTIFICATE, TEST_CERTIFICATE_KEY } from './test-certificate.ts';

/** Long enough for its client to die meanwhile. */
const SLOW_MS = 15;

type Answer = (error?: Error | null) => void;

const [mode = 'plain'] = process.argv.slice(2);
/** Recipients that are refused for now until they have been tried once. */
const tried = new Set<string>();

function answerOf(code: number): Error {
  return Object.assign(new Error('as the test wants it'), { responseCode: code });
}

function treatmentOf(address: string): string {
  return address.split(/[+@]/, 1)[0] ?? '';
}

const server = new SMTPServer({
  secure: mode === 'tls',
  cert: TEST_CERTIFICATE,
  key: TEST_CERTIFICATE_KEY,
  disabledCommands: mode === 'plain' ? ['STARTTLS'] : [],
  authOptional: true,
  allowInsecureAuth: true,
  logger: false,
  closeTimeout: 100,
  onAuth({ username, password }, _session, done) {
    if (username === 'user' && password === 'password') done(null, { user: username });
    else done(answerOf(535));
  },
  onRcptTo({ address }, _session, done) {
    const treatment = treatmentOf(address);
    if (treatment === 'refused') return done(answerOf(550));
    if (treatment === 'greylisted' && !tried.has(address)) {
      tried.add(address);
      return done(answerOf(451));
    }
    done();
  },
  onData(stream: SMTPServerDataStream, session: SMTPServerSession, done: Answer) {
    const to = session.envelope.rcptTo[0]?.address ?? '';
    const treatment = treatmentOf(to);
    if (treatment === 'cut') return cut(session);
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      if (treatment === 'full') return done(answerOf(452));
      process.send?.({ to, text, secure: session.secure, user: session.user ?? null }, () => {
        if (treatment === 'silent') return;
        if (treatment === 'slow') setTimeout(done, SLOW_MS);
        else if (treatment === 'vanishing') cut(session);
        else done();
      });
    });
  },
});

/** Cuts the line of a conversation. */
function cut({ id }: SMTPServerSession): void {
  for (const connection of server.connections) {
    if (connection.id === id) connection._socket.destroy();
  }
}

// Senders that are killed in the middle of a conversation are what the tests are about.
server.on('error', () => undefined);
process.on('disconnect', () => process.exit());
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.server.address() as AddressInfo).port });
});
