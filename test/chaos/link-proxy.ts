/**
 * A bad network between a worker and its coordinator. It knows where the frames of a WebSocket (RFC 6455, 5.2)
 * begin and end, and holds them up, sends them twice, in another order, or only in part before the line
 * is cut. The handshake passes, so that there is a line to be bad.
 *
 *   worker <--> proxy: passes | waits | sends twice | swaps with the next | cuts in the middle <--> coordinator
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { SeededRandom } from '../../shared/base/random.ts';
import { type Cleanup, cleanUp } from '../harness/cleanup.ts';

const HOST = '127.0.0.1';
const HTTP_END = '\r\n\r\n';
/** Frames of each direction before the first that fares badly: nonce, hello, welcome. */
const GOOD_FRAMES = 2;
const WAIT_MS_MAX = 400;
/** A frame that waits for the next one to overtake it waits no longer than this. */
const SWAP_MS_MAX = 50;
const OPCODE_BINARY = 2;

const FATES = ['waits', 'twice', 'swapped', 'cut'] as const;
export type Fate = (typeof FATES)[number];

export class LinkProxy {
  readonly url: string;
  readonly done: Record<Fate, number> = { waits: 0, twice: 0, swapped: 0, cut: 0 };
  /** Of a thousand frames, how many fare badly, and in which way. */
  chances: Record<Fate, number> = { waits: 0, twice: 0, swapped: 0, cut: 0 };
  readonly #random: SeededRandom;
  readonly #coordinatorPort: number;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, coordinatorPort: number, random: SeededRandom) {
    this.url = `ws://${HOST}:${(server.address() as AddressInfo).port}`;
    this.#coordinatorPort = coordinatorPort;
    this.#random = random;
    server.on('connection', (socket) => this.#join(socket));
  }

  static async start(t: Cleanup, port: number, random: SeededRandom): Promise<LinkProxy> {
    const server = createServer();
    server.listen(0, HOST);
    await once(server, 'listening');
    const proxy = new LinkProxy(server, port, random);
    cleanUp(t, () => {
      server.close();
      for (const socket of proxy.#sockets) socket.destroy();
    });
    return proxy;
  }

  draw(): Fate | 'passes' {
    let drawn = this.#random.below(1_000);
    for (const fate of FATES) {
      drawn -= this.chances[fate];
      if (drawn < 0) return fate;
    }
    return 'passes';
  }

  below(bound: number): number {
    return this.#random.below(bound);
  }

  #join(worker: Socket): void {
    const coordinator = connect(this.#coordinatorPort, HOST);
    const ends = [worker, coordinator];
    const cut = () => {
      for (const socket of ends) {
        this.#sockets.delete(socket);
        socket.destroy();
      }
    };
    for (const socket of ends) {
      this.#sockets.add(socket);
      socket.on('close', cut);
      // What ends a line is no failure of the proxy.
      socket.on('error', cut);
    }
    for (const [from, to] of [ends, ends.toReversed()] as [Socket, Socket][]) {
      const direction = new Direction(this, to, cut);
      from.on('data', (chunk) => direction.receive(chunk));
    }
  }
}

/** One of the two ways of one line. */
class Direction {
  readonly #proxy: LinkProxy;
  readonly #to: Socket;
  readonly #cut: () => void;
  #bytes = Buffer.alloc(0);
  #state: 'http' | 'frames' = 'http';
  #frames = 0;
  /** What is sent, is sent after this. */
  #turn: Promise<void> = Promise.resolve();
  #overtaken: { frame: Buffer; cancel: () => void } | undefined;

  constructor(proxy: LinkProxy, to: Socket, cut: () => void) {
    this.#proxy = proxy;
    this.#to = to;
    this.#cut = cut;
  }

  receive(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#state === 'http') {
      const end = this.#bytes.indexOf(HTTP_END);
      if (end < 0) return;
      this.#state = 'frames';
      this.#send(this.#take(end + HTTP_END.length));
    }
    for (;;) {
      const bytes = frameBytes(this.#bytes);
      if (bytes === undefined || this.#bytes.length < bytes) return;
      this.#frame(this.#take(bytes));
    }
  }

  #take(bytes: number): Buffer {
    const taken = this.#bytes.subarray(0, bytes);
    this.#bytes = this.#bytes.subarray(bytes);
    return taken;
  }

  #frame(frame: Buffer): void {
    this.#frames += 1;
    const isData = ((frame[0] ?? 0) & 0x0f) === OPCODE_BINARY;
    const fate = isData && this.#frames > GOOD_FRAMES ? this.#proxy.draw() : 'passes';
    if (fate !== 'passes') this.#proxy.done[fate] += 1;
    switch (fate) {
      case 'passes':
        this.#send(frame);
        break;
      case 'waits':
        this.#wait(this.#proxy.below(WAIT_MS_MAX));
        this.#send(frame);
        break;
      case 'twice':
        this.#send(frame);
        this.#send(frame);
        break;
      case 'swapped':
        this.#holdBack(frame);
        return;
      case 'cut':
        this.#send(frame.subarray(0, this.#proxy.below(frame.length)));
        this.#turn = this.#turn.then(this.#cut);
        break;
    }
    this.#letGo();
  }

  /** Until the next frame has overtaken it, or a moment has passed. */
  #holdBack(frame: Buffer): void {
    this.#letGo();
    const timer = setTimeout(() => this.#letGo(), SWAP_MS_MAX);
    this.#overtaken = { frame, cancel: () => clearTimeout(timer) };
  }

  #letGo(): void {
    const overtaken = this.#overtaken;
    this.#overtaken = undefined;
    overtaken?.cancel();
    if (overtaken !== undefined) this.#send(overtaken.frame);
  }

  #wait(ms: number): void {
    this.#turn = this.#turn.then(() => new Promise((resolve) => setTimeout(resolve, ms)));
  }

  #send(bytes: Buffer): void {
    this.#turn = this.#turn.then(() => {
      if (!this.#to.destroyed) this.#to.write(bytes);
    });
  }
}

/** Of the frame at the beginning, header and mask included; undefined when too little of it is there. */
function frameBytes(bytes: Buffer): number | undefined {
  const [, second] = bytes;
  if (second === undefined) return undefined;
  const mask = second & 0x80 ? 4 : 0;
  const short = second & 0x7f;
  const header = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (bytes.length < header) return undefined;
  if (short === 127) return header + mask + Number(bytes.readBigUInt64BE(2));
  return header + mask + (short === 126 ? bytes.readUInt16BE(2) : short);
}
