import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import { isRequestId, type RequestId, randomId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';

/** Digits of the count, of 32 each: so many ids have the same random part. */
const COUNT_CHARS = 5;
const COUNT_MAX = 32 ** COUNT_CHARS;
const DIGITS = 'abcdefghijklmnopqrstuvwxyz234567';

/**
 * Ids of requests: `req_` and 16 characters, of which the last five count and the others are random
 * (55 bits), drawn anew after 33 million. Drawing all of them would cost each request a microsecond.
 */
export function requestIds({ bytes }: Pick<SecureRandom, 'bytes'>): () => RequestId {
  let prefix = '';
  let count = COUNT_MAX;
  return () => {
    if (count === COUNT_MAX) {
      prefix = randomId<RequestId>('req_', bytes).slice(0, -COUNT_CHARS);
      count = 0;
    }
    let digits = '';
    for (let rest = count, i = 0; i < COUNT_CHARS; i += 1) {
      digits = DIGITS[rest & 31] + digits;
      rest >>>= 5;
    }
    count += 1;
    return `${prefix}${digits}` as RequestId;
  };
}

/**
 * The same, but a request that comes from a trusted proxy keeps the id that its `X-Request-Id` says, if it has the form
 * of one: so whatever the proxy logs has the id of everything that comes of it. From anybody else it would be an
 * id that somebody chose, to be taken for another's request.
 */
export function edgeRequestIds(
  random: Pick<SecureRandom, 'bytes'>,
  trustedProxies: readonly string[],
): (request: IncomingMessage) => RequestId {
  const own = requestIds(random);
  if (trustedProxies.length === 0) return own;
  const trusted = listOf(trustedProxies);
  return ({ headers, socket }) => {
    const given = headers['x-request-id'];
    if (typeof given !== 'string' || !isRequestId(given)) return own();
    const { remoteAddress: address = '' } = socket;
    return trusted.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') ? given : own();
  };
}

/** Addresses and networks, as `trustedProxies` of the configuration has them. */
function listOf(proxies: readonly string[]): BlockList {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [address = '', bits] = proxy.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}
