/**
 * The dialect's frame around every reply:
 *
 *   {"result": ..., "status": "ok", "time": 0.000123, "usage": {"hardware": {...}}}
 *   {"status": {"error": "..."}, "time": 0.000123, "result": null, "code": "..."}
 *
 * `time` is in seconds. `usage` has the dialect's names: `cpu` are units of work (`data-plane/cost.ts`), the
 * others bytes; payload indexes are in memory, so nothing is read or written for them. The text of an error is public; `code` is from the closed table.
 */
import type { AppError } from '../../shared/errors/app-error.ts';
import { JsonWriter } from '../data-plane/json-writer.ts';
import { type Tally, unitsOf } from '../limits/tally.ts';

/** A writer that stands at the place of the result. */
export function openResult(): JsonWriter {
  const out = new JsonWriter();
  out.ascii('{"result":');
  return out;
}

/** The bytes of the reply, in order. */
export function closeResult(out: JsonWriter, ms: number, tally: Tally): Buffer[] {
  out.ascii(`,"status":"ok","time":${seconds(ms)},"usage":{"hardware":${hardwareOf(tally)}}}`);
  return out.finish();
}

function hardwareOf(tally: Tally): string {
  const { payloadRead, payloadWritten, vectorRead, vectorWritten } = tally;
  const payload = `"payload_io_read":${payloadRead},"payload_io_write":${payloadWritten}`;
  const vector = `"vector_io_read":${vectorRead},"vector_io_write":${vectorWritten}`;
  const index = '"payload_index_io_read":0,"payload_index_io_write":0';
  return `{"cpu":${unitsOf(tally)},${payload},${index},${vector}}`;
}

export function errorText(error: AppError, ms: number): string {
  const status = JSON.stringify({ error: error.message });
  return `{"status":${status},"time":${seconds(ms)},"result":null,"code":"${error.code}"}`;
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(6);
}
