import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv6 } from 'node:net';
import { isRequestId, type RequestId, randomId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';

/** Random bytes that are drawn at once: drawing those of each request would cost it a microsecond. */
const DRAWN_BYTES = 4_096;

/**
 * Ids of requests, 80 random bits each. Nothing in them counts: who makes two requests would know from their ids
 * how many all others have made in between.
 */
export function requestIds({ bytes }: Pick<SecureRandom, 'bytes'>): () => RequestId {
  let drawn: Uint8Array = new Uint8Array(0);
  let used = 0;
  const take = (count: number): Uint8Array => {
    if (used + count > drawn.length) {
      drawn = bytes(DRAWN_BYTES);
      used = 0;
    }
    used += count;
    return drawn.subarray(used - count, used);
  };
  return () => randomId<RequestId>('req_', take);
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
