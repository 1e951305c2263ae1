/**
 * One call of a webhook: a connection of its own, to addresses that were checked, under one deadline. Of the
 * answer only the status counts; redirects are not followed, and a body is read up to a bound and thrown away.
 */
import type { LookupFunction } from 'node:net';
import { buildConnector, Client } from 'undici';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Address, CheckedTarget } from './target-guard.ts';

export interface WebhookCall {
  target: CheckedTarget;
  headers: Record<string, string>;
  body: string;
  /** Ends the call when the process does. */
  signal: AbortSignal;
}

/** The status of the answer, or in a word why there was none. */
export type WebhookAnswer = { status: number } | { problem: string };

export interface WebhookCallDeps {
  clock: Clock;
  /** A certificate (PEM) to be trusted in place of those that the system does. */
  ca?: string | undefined;
}

/** From the first packet to the status line. */
export const WEBHOOK_TIMEOUT_MS = 15_000;
/** For what a receiver still says after its status. */
const REST_TIMEOUT_MS = 1_000;
const HEADER_BYTES_MAX = 16 * 1024;

export async function callWebhook(
  { target, headers, body, signal }: WebhookCall,
  { clock, ca }: WebhookCallDeps,
): Promise<WebhookAnswer> {
  const { url, addresses } = target;
  const client = new Client(url.origin, {
    connect: connectorTo(addresses, ca),
    pipelining: 1,
    maxHeaderSize: HEADER_BYTES_MAX,
    // The deadline is one for all, and its clock is ours.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const late = new AbortController();
  const cancel = clock.after(WEBHOOK_TIMEOUT_MS, () => late.abort());
  try {
    const { statusCode, body: rest } = await client.request({
      method: 'POST',
      path: `${url.pathname}${url.search}`,
      headers,
      body,
      signal: AbortSignal.any([signal, late.signal]),
    });
    const impatient = new AbortController();
    const stop = clock.after(REST_TIMEOUT_MS, () => impatient.abort());
    const read = rest.dump({ limit: LIMITS.webhookAnswerBytesMax, signal: impatient.signal });
    // Whatever becomes of the rest, the status was said.
    await read.then(stop, stop);
    return { status: statusCode };
  } catch (error) {
    return { problem: late.signal.aborted ? 'timeout' : problemOf(error) };
  } finally {
    cancel();
    // Without waiting: a receiver that does not stop talking is cut off.
    await client.destroy();
  }
}

/** Connects to these addresses whatever the name leads to now; name and certificate stay those of the URL. */
function connectorTo(addresses: CheckedTarget['addresses'], ca: string | undefined) {
  const lookup: LookupFunction = (_hostname, options, done) => {
    const [first] = addresses;
    if (options.all === true) done(null, [...addresses]);
    else done(null, first.address, first.family);
  };
  const connect = buildConnector({
    lookup,
    autoSelectFamily: true,
    allowH2: false,
    timeout: WEBHOOK_TIMEOUT_MS,
    ...(ca !== undefined && { ca }),
  });
  return (options: buildConnector.Options, callback: buildConnector.Callback) => {
    connect(options, (...[error, socket]) => {
      if (error === null && !isOneOf(addresses, must(socket, 'connected').remoteAddress)) {
        socket?.destroy();
        callback(new Error('connected to an address that was not checked'), null);
      } else if (error === null) {
        callback(null, must(socket, 'connected'));
      } else {
        callback(error, null);
      }
    });
  };
}

function isOneOf(addresses: readonly Address[], remote: string | undefined): boolean {
  if (remote === undefined) return false;
  const plain = remote.replace(/^::ffff:(?=[0-9.]+$)/, '');
  return addresses.some(({ address }) => sameAddress(address, plain));
}

/** IPv6 has several spellings; what Node tells is the shortest, as URLs have it. */
function sameAddress(one: string, other: string): boolean {
  const [first, second] = [one, other].map((address) => {
    return address.includes(':') ? new URL(`http://[${address}]`).hostname : address;
  });
  return first === second;
}

/** What a receiver sends is never kept; codes of Node and undici are words of ours. */
function problemOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (typeof code === 'string' && /^[A-Z_0-9]{1,60}$/.test(code)) return code.toLowerCase();
  return 'failed';
}
