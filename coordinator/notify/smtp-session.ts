/**
 * One conversation with a mail server. A mail goes out in two steps, because SMTP does not know "once":
 *
 *   MAIL, RCPT, DATA, all bytes of the message --> beforeEnd(): the caller writes down that it is handing
 *   over --> the final dot --> the answer
 *
 * Until the dot the server must not take the message (RFC 5321, 4.1.1.4): what fails earlier can be tried
 * again. From the dot until its answer nobody knows.
 */
import { Readable } from 'node:stream';
import MailComposer from 'nodemailer/lib/mail-composer';
import SMTPConnection, { type SMTPConnectionOptions } from 'nodemailer/lib/smtp-connection';

export const MAIL_TLS = ['implicit', 'starttls', 'none'] as const;

export interface SmtpSettings {
  host: string;
  port: number;
  /** From the first byte on; by STARTTLS, which must be there; not at all. */
  tls: (typeof MAIL_TLS)[number];
  /** '' when the server wants none. */
  user: string;
  password: string;
  /** A certificate (PEM) to be trusted beside those that the system does. */
  ca?: string;
  /** How long the server may be silent. */
  timeoutMs?: number;
}

export interface OutgoingMail {
  from: string;
  to: string;
  /** In angle brackets; the same when it is sent again. */
  messageId: string;
  subject: string;
  text: string;
  html: string;
  /** Milliseconds since 1970. */
  at: number;
}

/** `code` is what the server answered, null when it did not. */
export type MailOutcome =
  | { kind: 'taken'; code: number | null }
  /** For good: no such address, for example. */
  | { kind: 'refused'; code: number }
  /** The server surely has not taken it. */
  | { kind: 'later'; code: number | null; problem: string }
  /** It may have been taken. */
  | { kind: 'unknown'; code: number | null; problem: string };

const TIMEOUT_MS = 60_000;
const RESPONSE_BYTES_MAX = 64 * 1024;

export class SmtpSession {
  readonly #connection: SMTPConnection;
  /** What broke the connection, once something has. */
  #broken: SmtpError | undefined;
  /** Ends the step under way. */
  #fail: (error: SmtpError) => void = () => undefined;

  private constructor(connection: SMTPConnection) {
    this.#connection = connection;
    connection.on('error', (error: SmtpError) => {
      this.#broken ??= error;
      this.#fail(error);
    });
  }

  /**
   * Connects and logs in. Throws what is wrong with server, certificate or password. `signal` closes it, now or
   * later.
   */
  static async open(settings: SmtpSettings, signal: AbortSignal): Promise<SmtpSession> {
    const connection = new SMTPConnection(optionsOf(settings));
    const session = new SmtpSession(connection);
    const stop = () => session.close();
    signal.addEventListener('abort', stop);
    connection.once('end', () => signal.removeEventListener('abort', stop));
    try {
      await session.#step<void>((done) => connection.connect((error) => done(error ?? null)));
      const { user, password: pass } = settings;
      if (user !== '') {
        await session.#step<unknown>((done) => connection.login({ user, pass }, done));
      }
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /** Whether it can send another mail. */
  get isOpen(): boolean {
    return this.#broken === undefined && !this.#connection.destroyed;
  }

  /** `beforeEnd` is called when the whole message is out but for its end; what it throws keeps that back. */
  async send(mail: OutgoingMail, beforeEnd: () => void): Promise<MailOutcome> {
    let handedOver = false;
    let message: TwoSteps | undefined;
    try {
      const bytes = await compose(mail);
      message = new TwoSteps(bytes, () => {
        beforeEnd();
        handedOver = true;
      });
      const envelope = { from: mail.from, to: [mail.to], size: bytes.length };
      const outgoing = message;
      const { response } = await this.#step<{ response: string }>((done) => {
        this.#connection.send(envelope, outgoing, (error, info) => done(error ?? null, info));
      });
      return { kind: 'taken', code: codeIn(response) };
    } catch (error) {
      // What state the conversation is in, nobody knows.
      this.close();
      return outcomeOf(error as SmtpError, handedOver);
    } finally {
      message?.destroy();
    }
  }

  /** The end of the connection ends it, too, whether or not the library says so. */
  #step<T>(start: (done: (error: Error | null, result?: T) => void) => void): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#fail = reject;
    if (this.#broken !== undefined) reject(this.#broken);
    start((error, result) => {
      if (error !== null) reject(error);
      else resolve(result as T);
    });
    return promise;
  }

  /** Ends what is under way, too. */
  close(): void {
    this.#broken ??= new Error('closed');
    this.#connection.close();
    this.#fail(this.#broken);
  }
}

/** The message, and its end only after `beforeEnd`. */
class TwoSteps extends Readable {
  #bytes: Buffer | undefined;
  readonly #beforeEnd: () => void;

  constructor(bytes: Buffer, beforeEnd: () => void) {
    super();
    this.#bytes = bytes;
    this.#beforeEnd = beforeEnd;
  }

  override _read(): void {
    const bytes = this.#bytes;
    this.#bytes = undefined;
    if (bytes !== undefined) {
      this.push(bytes);
      return;
    }
    try {
      this.#beforeEnd();
    } catch (error) {
      this.destroy(error as Error);
      return;
    }
    this.push(null);
  }
}

interface SmtpError extends Error {
  code?: string;
  responseCode?: number;
  command?: string;
}

function optionsOf(settings: SmtpSettings): SMTPConnectionOptions {
  const { host, port, tls, ca, timeoutMs = TIMEOUT_MS } = settings;
  return {
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    maxResponseSize: RESPONSE_BYTES_MAX,
    logger: false,
    ...(ca !== undefined && { tls: { ca } }),
  };
}

/** Nothing of a notice is ever a file or an address to be read from. */
function compose({ to, from, messageId, subject, text, html, at }: OutgoingMail): Promise<Buffer> {
  const composer = new MailComposer({
    ...{ from, to, messageId, subject, text, html },
    date: new Date(at),
    headers: { 'Auto-Submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return composer.compile().build();
}

function outcomeOf(error: SmtpError, handedOver: boolean): MailOutcome {
  const { responseCode: code = null, command } = error;
  const problem = problemOf(error);
  if (code !== null && code >= 500 && code < 600) {
    // Its sender is a setting of ours: that no recipient is told to be gone.
    return command === 'MAIL FROM' ? { kind: 'later', code, problem } : { kind: 'refused', code };
  }
  if (code !== null && code >= 400 && code < 500) return { kind: 'later', code, problem };
  return { kind: handedOver ? 'unknown' : 'later', code, problem };
}

/** In a word; what a server says may hold addresses, and is never kept. */
export function problemOf(error: unknown): string {
  const { code, responseCode } = error as SmtpError;
  const known = typeof code === 'string' && /^[A-Z_0-9]{1,40}$/.test(code);
  const word = known ? code.toLowerCase() : 'failed';
  return responseCode === undefined ? word : `${word} ${responseCode}`;
}

function codeIn(response: string): number | null {
  const code = Number(response.slice(0, 3));
  return Number.isInteger(code) ? code : null;
}
