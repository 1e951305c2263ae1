import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { isPublicAddress, TargetGuard, UnfitTarget } from './target-guard.ts';

const PUBLIC = ['93.184.215.14', '1.1.1.1', '2606:4700:4700::1111', '2a00:1450:4001:80b::200e'];

/** Every address here is refused, with the reason that the registries give. */
const NOT_PUBLIC: readonly [address: string, what: string][] = [
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['0.0.0.0', 'unspecified'],
  ['0.1.2.3', 'this network'],
  ['10.0.0.1', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.168.1.1', 'private'],
  ['169.254.169.254', 'link-local: where clouds keep credentials'],
  ['100.64.0.1', 'shared between carriers'],
  ['100.127.255.255', 'shared between carriers'],
  ['192.0.0.8', 'protocol assignments'],
  ['192.0.2.1', 'documentation'],
  ['198.51.100.1', 'documentation'],
  ['203.0.113.1', 'documentation'],
  ['198.18.0.1', 'benchmarks'],
  ['192.88.99.1', 'relays of 6to4'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['240.0.0.1', 'reserved'],
  ['255.255.255.255', 'broadcast'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['::ffff:127.0.0.1', 'loopback, mapped'],
  ['::ffff:10.0.0.1', 'private, mapped'],
  ['::ffff:a9fe:a9fe', 'link-local, mapped'],
  ['::127.0.0.1', 'loopback, IPv4-compatible'],
  ['::ffff:0:127.0.0.1', 'translated'],
  ['64:ff9b::7f00:1', 'NAT64 of loopback'],
  ['64:ff9b::1.1.1.1', 'NAT64'],
  ['64:ff9b:1::1', 'NAT64, local'],
  ['2002:7f00:1::', '6to4 of loopback'],
  ['2002:a00:1::', '6to4 of private'],
  ['2001::1', 'Teredo'],
  ['2001:db8::1', 'documentation'],
  ['3fff::1', 'documentation'],
  ['fc00::1', 'unique local'],
  ['fd12:3456::1', 'unique local'],
  ['fe80::1', 'link-local'],
  ['fec0::1', 'site-local'],
  ['ff02::1', 'multicast'],
  ['100::1', 'discard'],
  ['5f00::1', 'segment routing'],
  ['4000::1', 'not routed today'],
];

test('an address is public or it is in a range that is not', () => {
  for (const address of PUBLIC) assert.ok(isPublicAddress(address), address);
  for (const [address, what] of NOT_PUBLIC)
    assert.ok(!isPublicAddress(address), `${address}: ${what}`);
  assert.ok(!isPublicAddress('not an address'));
});

function guardOver(addresses: readonly string[], allowedNetworks: string[] = [], ports = [443]) {
  const asked: string[] = [];
  const resolve = async (hostname: string) => {
    asked.push(hostname);
    return [...addresses];
  };
  return { guard: new TargetGuard({ ports, allowedNetworks, resolve }), asked };
}

const CLIENTS = { isOperators: false };
const OPERATORS = { isOperators: true };

test('a name is asked for once, and every address of it has to be public', async () => {
  const good = guardOver(PUBLIC);
  const { addresses } = await good.guard.check('https://receiver.example/hook?x=1', CLIENTS);
  assert.deepEqual(
    addresses.map(({ address }) => address),
    PUBLIC,
  );
  assert.deepEqual(good.asked, ['receiver.example']);
  for (const [address] of NOT_PUBLIC) {
    for (const found of [[address], [...PUBLIC, address], [address, ...PUBLIC]]) {
      const refused = guardOver(found).guard.check('https://receiver.example/', CLIENTS);
      await assert.rejects(refused, { problem: 'address', field: 'url' }, address);
    }
  }
});

test('an address in the URL is checked like one of a name, however it is written', async () => {
  const hosts = NOT_PUBLIC.map(([address]) => (address.includes(':') ? `[${address}]` : address));
  const spellings = ['2130706433', '0x7f000001', '0177.0.0.1', '127.1', '①②⑦.0.0.1', 'localhost'];
  const { guard } = guardOver(['127.0.0.1']);
  for (const host of [...hosts, ...spellings]) {
    await assert.rejects(guard.check(`https://${host}/`, CLIENTS), UnfitTarget, host);
  }
});

test('a URL says https, an allowed port, and nobody’s password', async () => {
  const { guard } = guardOver(PUBLIC);
  const bad: [url: string, says: RegExp][] = [
    ['', /not a URL/],
    ['receiver.example', /not a URL/],
    ['https://', /not a URL/],
    ['https://receiver.example/\r\nHost: x', /not a URL/],
    ['http://receiver.example/', /port 443/],
    ['http://receiver.example:443/', /https/],
    ['ftp://receiver.example/', /https/],
    ['file:///etc/passwd', /https/],
    ['https://me:secret@receiver.example/', /user name/],
    ['https://me@receiver.example/', /user name/],
    ['https://receiver.example:22/', /port 443/],
    ['https://receiver.example:6335/', /port 443/],
    ['https://receiver.example/#part', /behind #/],
    [`https://receiver.example/${'x'.repeat(2_048)}`, /2048 characters/],
  ];
  for (const [url, says] of bad) {
    await assert.rejects(guard.check(url, CLIENTS), (error: Error) => {
      assert.ok(error instanceof InvalidInput && error.field === 'url', url);
      assert.match(error.message, says, url);
      return true;
    });
  }
});

test('networks that the settings name are for operators, and http for this machine', async () => {
  const networks = ['10.0.0.0/8', '127.0.0.0/8', 'fd00::/8'];
  const inside = guardOver(['10.1.2.3', 'fd00::1'], networks, [443, 80]).guard;
  await inside.check('https://inside.example/', OPERATORS);
  await assert.rejects(inside.check('https://inside.example/', CLIENTS), { problem: 'address' });
  await assert.rejects(inside.check('http://inside.example/', OPERATORS), /https/);
  const here = guardOver(['127.0.0.1'], networks, [443, 80]).guard;
  await here.check('http://here.example/', OPERATORS);
  await assert.rejects(here.check('http://here.example/', CLIENTS), { problem: 'address' });
  const out = guardOver(['192.168.0.1'], networks).guard;
  await assert.rejects(out.check('https://out.example/', OPERATORS), { problem: 'address' });
});

test('a name without an address is said to have none', async () => {
  const resolve = () => Promise.reject(new Error('ENOTFOUND'));
  const failing = new TargetGuard({ ports: [443], allowedNetworks: [], resolve });
  await assert.rejects(failing.check('https://none.example/', CLIENTS), { problem: 'dns' });
  await assert.rejects(guardOver([]).guard.check('https://none.example/', CLIENTS), {
    problem: 'dns',
  });
});
