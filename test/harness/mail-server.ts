/**
 * A real mail server (SMTP) on loopback, in a process of its own. The local part of an address says how a
 * mail to it is treated:
 *
 *   refused      550 to the recipient              cut         the line is cut before the message is read
 *   greylisted   451 the first time, then taken    vanishing   it takes the message, and cuts the line
 *   full         452 to the message                silent      it takes the message, and says nothing
 *   slow         taken, the answer some milliseconds later
 *   any other    taken
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Cleanup, cleanUp } from './cleanup.ts';

const PROGRAM = fileURLToPath(new URL('./smtp-server-process.ts', import.meta.url));

export interface TakenMail {
  to: string;
  /** As it came over the line. */
  text: string;
  secure: boolean;
  user: string | null;
}

export interface MailServer {
  port: number;
  /** What it has taken, in that order. */
  taken: TakenMail[];
}

export async function startMailServer(
  t: Cleanup,
  mode: 'plain' | 'starttls' | 'tls',
): Promise<MailServer> {
  const child = fork(PROGRAM, [mode], { env: { PATH: process.env.PATH ?? '' } });
  const ended = once(child, 'exit');
  cleanUp(t, async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const [{ port }] = await Promise.race([
    once(child, 'message'),
    ended.then(() => Promise.reject(new Error('the mail server ended'))),
  ]);
  const taken: TakenMail[] = [];
  child.on('message', (mail) => taken.push(mail as TakenMail));
  return { port, taken };
}

/** A header of a mail; undefined when it has none of that name. */
export function headerOf({ text }: TakenMail, name: string): string | undefined {
  const [head = ''] = text.split('\r\n\r\n', 1);
  const line = head.split(/\r\n(?! )/).find((each) => {
    return each.toLowerCase().startsWith(`${name.toLowerCase()}: `);
  });
  return line?.slice(name.length + 2);
}
