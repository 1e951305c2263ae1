import process from 'node:process';
import { createInterface } from 'node:readline/promises';

/** A way to ask the person at the terminal; undefined when a script is at the other end. */
export function askTerminal(): ((question: string) => Promise<string>) | undefined {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined;
  return async (question) => {
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return await terminal.question(question);
    } finally {
      terminal.close();
    }
  };
}
