/**
 * One kept-alive HTTP/1.1 connection of a load: requests are bytes made in advance, answers are cut
 * out by their Content-Length and not looked into. A client library takes as much of the processor
 * as the service that is to be measured, and of its caches.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const HEAD_END = Buffer.from('\r\n\r\n');
const LENGTH = /\r\ncontent-length: (\d+)\r\n/i;
const STATUS_AT = 'HTTP/1.1 '.length;

export interface Answer {
  status: number;
  body: Buffer;
}

export class RawCaller {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #bytes = 0;
  /** Bytes of the answer that is coming, head included, once its head is there. */
  #wanted = Number.POSITIVE_INFINITY;
  #bodyAt = 0;
  #ended: Error | undefined;
  #waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the connection was closed')));
  }

  static async connect(url: string): Promise<RawCaller> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), noDelay: true });
    await once(socket, 'connect');
    return new RawCaller(socket);
  }

  /** One at a time. Rejects when the connection ends before the answer does. */
  ask(request: Buffer): Promise<Answer> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#waiting?.reject(this.#ended);
  }

  #receive(bytes: Buffer): void {
    this.#received.push(bytes);
    this.#bytes += bytes.length;
    if (this.#wanted === Number.POSITIVE_INFINITY) this.#readHead();
    if (this.#bytes < this.#wanted) return;
    const whole = this.#joined();
    const answer = {
      status: Number(whole.toString('latin1', STATUS_AT, STATUS_AT + 3)),
      body: whole.subarray(this.#bodyAt, this.#wanted),
    };
    this.#received = [];
    this.#bytes = 0;
    this.#wanted = Number.POSITIVE_INFINITY;
    this.#waiting?.resolve(answer);
  }

  #readHead(): void {
    const whole = this.#joined();
    const end = whole.indexOf(HEAD_END);
    if (end < 0) return;
    this.#bodyAt = end + HEAD_END.length;
    const length = LENGTH.exec(whole.toString('latin1', 0, this.#bodyAt))?.[1];
    if (length === undefined) this.#waiting?.reject(new Error('an answer without Content-Length'));
    else this.#wanted = this.#bodyAt + Number(length);
  }

  #joined(): Buffer {
    const [first, ...others] = this.#received;
    if (first !== undefined && others.length === 0) return first;
    const whole = Buffer.concat(this.#received);
    this.#received = [whole];
    return whole;
  }
}

/** The bytes of a GET. */
export function getBytes(url: string, path: string, headers: Record<string, string>): Buffer {
  const lines = Object.entries({ host: new URL(url).host, ...headers });
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${headerText(lines)}\r\n`);
}

/** The bytes of a POST with a JSON body. */
export function postBytes(
  url: string,
  path: string,
  headers: Record<string, string>,
  body: string,
): Buffer {
  const lines = Object.entries({
    host: new URL(url).host,
    'content-type': 'application/json',
    'content-length': `${Buffer.byteLength(body)}`,
    ...headers,
  });
  return Buffer.from(`POST ${path} HTTP/1.1\r\n${headerText(lines)}\r\n${body}`);
}

function headerText(lines: readonly [string, string][]): string {
  return lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
}
