import { isIPv6 } from 'node:net';

const GROUPS = 8;
/** Whoever has one IPv6 address has its /64. */
const GROUPS_KEPT = 4;
const IPV4_MAPPED = '::ffff:';

/** What one sender can be told by: an IPv4 address, or the /64 of an IPv6 one. */
export function addressGroup(address: string): string {
  if (!address.includes(':')) return address;
  if (address.startsWith(IPV4_MAPPED) && address.includes('.')) {
    return address.slice(IPV4_MAPPED.length);
  }
  if (!isIPv6(address)) return address;
  const [start = '', end] = address.split('%', 1)[0]?.split('::') ?? [];
  const head = start === '' ? [] : start.split(':');
  const tail = end === undefined || end === '' ? [] : end.split(':');
  const zeros = Array.from({ length: GROUPS - head.length - tail.length }, () => '0');
  const groups = end === undefined ? head : [...head, ...zeros, ...tail];
  return `${groups.slice(0, GROUPS_KEPT).join(':')}::/64`;
}
