/**
 * What of an error may stand in a log line: name, code, message, detail, where it was thrown, and
 * the same of its causes. Texts are bounded and keys are masked. Two texts are left out because
 * they repeat what a caller sent: the message of a `SyntaxError` (V8 quotes the input of
 * `JSON.parse`) and the head of a stack (it repeats the message).
 */

const TEXT_CHARS_MAX = 500;
const FRAMES_MAX = 8;
const CAUSES_MAX = 3;

export interface DescribedError {
  name: string;
  code?: string;
  message: string;
  detail?: string;
  stack?: string[];
  cause?: DescribedError;
}

export function describeError(error: unknown, causesLeft = CAUSES_MAX): DescribedError {
  if (!(error instanceof Error)) return { name: typeof error, message: 'thrown, but not an Error' };
  const described: DescribedError = { name: error.name, message: safeMessage(error) };
  const code = 'code' in error ? error.code : undefined;
  if (typeof code === 'string') described.code = safeText(code);
  const detail = 'detail' in error ? error.detail : undefined;
  if (typeof detail === 'string') described.detail = safeText(detail);
  const frames = stackFrames(error);
  if (frames.length > 0) described.stack = frames;
  if (error.cause !== undefined && causesLeft > 0) {
    described.cause = describeError(error.cause, causesLeft - 1);
  }
  return described;
}

/** A text that is bounded and shows no API key. */
export function safeText(text: string): string {
  const masked = text.replace(/bh_(live|test)_[0-9A-Za-z_]*/g, 'bh_$1_***');
  return masked.length > TEXT_CHARS_MAX ? `${masked.slice(0, TEXT_CHARS_MAX)}...` : masked;
}

function safeMessage(error: Error): string {
  return error instanceof SyntaxError ? 'not shown: it may quote data' : safeText(error.message);
}

/** `at` lines only: a multi-line message can not pass for one, since the message is cut off. */
function stackFrames(error: Error): string[] {
  const stack = error.stack ?? '';
  const head = `${error.name}: ${error.message}`;
  const body = stack.startsWith(head) ? stack.slice(head.length) : stack;
  return body
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^at .*:\d+:\d+\)?$/.test(line))
    .slice(0, FRAMES_MAX);
}
