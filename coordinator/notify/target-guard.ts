/**
 * Where notices may be posted to. The addresses of clients are hostile: they may name what only this
 * machine can reach. So a name is resolved once, every address that it has is checked, and the connection goes
 * to what was checked and to nothing else; what the name leads to a moment later does not matter.
 *
 *   url -> https, allowed port, no user name -> name resolved -> each address public -> connect to these
 *
 * Public is what is unicast and in none of the special ranges (IANA's registries, as `ipaddr.js` has them):
 * loopback, private, link-local, shared, documentation, multicast, tunnels that hold an IPv4 address (6to4,
 * Teredo, NAT64), unique local. Operators' own webhooks may go to networks that the settings name, and
 * without TLS to this machine if those name its loopback; clients' never.
 */
import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';

/** A URL that nothing is posted to, in a sentence for its owner and in a word for the log. */
export class UnfitTarget extends InvalidInput {
  readonly problem: 'url' | 'dns' | 'address';

  constructor(problem: UnfitTarget['problem'], sentence: string) {
    super('url', sentence);
    this.problem = problem;
  }
}

export interface Address {
  address: string;
  family: 4 | 6;
}

/** A URL with the addresses that it may be reached at. */
export interface CheckedTarget {
  url: URL;
  addresses: readonly [Address, ...Address[]];
}

/** All addresses of a name. */
export type Resolve = (hostname: string) => Promise<string[]>;

export interface TargetGuardOptions {
  /** Ports that may be posted to. */
  ports: readonly number[];
  /** Networks (`10.0.0.0/8`) that operators' webhooks may be in, too. */
  allowedNetworks: readonly string[];
  resolve: Resolve;
}

const ADDRESSES_MAX = 32;
const DNS_TIMEOUT_MS = 3_000;
const DNS_TRIES = 2;
/** All IPv6 addresses that are routed today (RFC 4291, 2.4). */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

export class TargetGuard {
  readonly #options: TargetGuardOptions;
  readonly #allowed: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][];

  constructor(options: TargetGuardOptions) {
    this.#options = options;
    this.#allowed = options.allowedNetworks.map((network) => parseNetwork(network));
  }

  /** Throws `UnfitTarget` for a URL that can never be one; says nothing of where it leads. */
  parse(text: string): URL {
    if (text.length > LIMITS.webhookUrlCharsMax) {
      throw unfit(`may have ${LIMITS.webhookUrlCharsMax} characters at most`);
    }
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || /[\s\p{Cc}]/u.test(text)) throw unfit('is not a URL');
    if (url.protocol !== 'https:' && url.protocol !== 'http:') {
      throw unfit('must begin with https://');
    }
    if (url.username !== '' || url.password !== '') {
      throw unfit('may not hold a user name or a password; check the signature instead');
    }
    if (url.hash !== '') throw unfit('may not have a part behind #');
    const { ports } = this.#options;
    if (!ports.includes(portOf(url))) {
      throw unfit(`may only name the port ${ports.join(' or ')}`);
    }
    return url;
  }

  /** Resolves and checks. Throws `UnfitTarget`. */
  async check(text: string, { isOperators }: { isOperators: boolean }): Promise<CheckedTarget> {
    const url = this.parse(text);
    const [first, ...others] = await this.#addressesOf(url);
    if (first === undefined) throw unresolved();
    for (const address of [first, ...others]) {
      const parsed = parseAddress(address);
      const isAllowed = isOperators && this.#isAllowed(parsed);
      if (!isAllowed && !isPublic(parsed)) {
        throw new UnfitTarget('address', 'leads to an address that is not public');
      }
      if (url.protocol === 'http:' && !(isAllowed && parsed.range() === 'loopback')) {
        throw unfit('must begin with https://');
      }
    }
    return { url, addresses: [addressOf(first), ...others.map(addressOf)] };
  }

  async #addressesOf({ hostname }: URL): Promise<string[]> {
    const literal = hostname.replace(/^\[(.*)\]$/, '$1');
    if (isIP(literal) !== 0) return [literal];
    try {
      return (await this.#options.resolve(hostname)).slice(0, ADDRESSES_MAX);
    } catch (cause) {
      throw Object.assign(unresolved(), { cause });
    }
  }

  #isAllowed(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
    return this.#allowed.some((network) => {
      return network[0].kind() === address.kind() && address.match(network);
    });
  }
}

/**
 * Asks the name servers themselves, in both families: the system's own look-up runs on the few threads that
 * files are read with, and a name server that is slow on purpose would hold them up.
 */
export async function resolveByDns(hostname: string): Promise<string[]> {
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: DNS_TRIES });
  const answers = await Promise.allSettled([
    resolver.resolve4(hostname),
    resolver.resolve6(hostname),
  ]);
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  const failed = answers.find((answer) => answer.status === 'rejected');
  if (found.length === 0 && failed !== undefined) throw failed.reason;
  return found;
}

/** Whether anybody may reach it from anywhere. */
export function isPublicAddress(address: string): boolean {
  return ipaddr.isValid(address) && isPublic(parseAddress(address));
}

function isPublic(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (address.range() !== 'unicast') return false;
  return address.kind() === 'ipv4' || address.match(GLOBAL_IPV6);
}

/** An IPv4 address that is written as one of IPv6 is one of IPv4. */
function parseAddress(address: string): ipaddr.IPv4 | ipaddr.IPv6 {
  return ipaddr.process(address);
}

/** Throws an `Error` for what is no network. */
export function parseNetwork(text: string): [ipaddr.IPv4 | ipaddr.IPv6, number] {
  return ipaddr.parseCIDR(text);
}

function addressOf(address: string): Address {
  return { address, family: isIP(address) === 6 ? 6 : 4 };
}

function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'https:' ? 443 : 80;
}

function unfit(sentence: string): UnfitTarget {
  return new UnfitTarget('url', sentence);
}

function unresolved(): UnfitTarget {
  return new UnfitTarget('dns', 'names a host that has no address');
}
