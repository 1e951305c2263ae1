/** Results of writes. They are on disk when they are answered, so they are always "completed". */
import type { JsonWriter } from '../data-plane/json-writer.ts';

/** `version`: what the shard gave the write; null when there was nothing to do. */
export function writeUpdated(out: JsonWriter, version: number | null): void {
  out.ascii(`{"operation_id":${version},"status":"completed"}`);
}

export function writeUpdatedList(out: JsonWriter, versions: readonly (number | null)[]): void {
  out.ascii('[');
  versions.forEach((version, i) => {
    if (i > 0) out.ascii(',');
    writeUpdated(out, version);
  });
  out.ascii(']');
}
