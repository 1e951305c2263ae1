import type { Programs } from './up/supervisor.ts';

/** What the command line has of the world around it. */
export interface ProgramContext {
  env: Readonly<Record<string, string | undefined>>;
  programs: Programs;
  write(text: string): void;
  writeError(text: string): void;
  /** Asks the person at the terminal; absent when there is none. */
  ask?: (question: string) => Promise<string>;
}
