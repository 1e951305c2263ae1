/**
 * One hash over all that `PROTOCOL_VERSION` promises: frame layout, hello and every message. Both
 * ends compare it in the hello, and a test pins it, so that nobody changes a message and keeps
 * its version.
 */
import { createHash } from 'node:crypto';
import { FailureSchema } from './failure.ts';
import { FRAME_KINDS, FRAME_LAYOUT } from './frame.ts';
import { ChallengeSchema, HelloSchema, WelcomeSchema } from './hello.ts';
import { MESSAGES } from './messages.ts';

let cached: string | undefined;

/** SHA-256 in hex. */
export function schemaHash(): string {
  cached ??= createHash('sha256').update(canonicalJson(describeProtocol())).digest('hex');
  return cached;
}

function describeProtocol(): object {
  return {
    frame: FRAME_LAYOUT,
    kinds: FRAME_KINDS,
    hello: [ChallengeSchema, HelloSchema, WelcomeSchema],
    failure: FailureSchema,
    messages: MESSAGES,
  };
}

/** JSON with sorted keys and without whitespace; equal for equal data. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (item === null || typeof item !== 'object' || Array.isArray(item)) return item;
    const entries = Object.entries(item).filter(([key]) => !key.startsWith('~'));
    return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  });
}
