/**
 * The dialect's frame around every reply:
 *
 *   {"result": ..., "status": "ok", "time": 0.000123}
 *   {"status": {"error": "..."}, "time": 0.000123, "result": null, "code": "..."}
 *
 * `time` is in seconds. The text of an error is public; `code` is from the closed table.
 */
import type { AppError } from '../../shared/errors/app-error.ts';
import { JsonWriter } from '../data-plane/json-writer.ts';

/** A writer that stands at the place of the result. */
export function openResult(): JsonWriter {
  const out = new JsonWriter();
  out.ascii('{"result":');
  return out;
}

/** The bytes of the reply, in order. */
export function closeResult(out: JsonWriter, ms: number): Buffer[] {
  out.ascii(`,"status":"ok","time":${seconds(ms)}}`);
  return out.finish();
}

export function errorText(error: AppError, ms: number): string {
  const status = JSON.stringify({ error: error.message });
  return `{"status":${status},"time":${seconds(ms)},"result":null,"code":"${error.code}"}`;
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(6);
}
