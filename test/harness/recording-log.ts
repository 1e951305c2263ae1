import type { Log } from '../../shared/log/log.ts';

export interface LogLine {
  event: string;
  fields: Record<string, unknown>;
}

/** A log that keeps its lines. */
export function recordingLog(): { log: Log; lines: LogLine[]; saw: (event: string) => LogLine[] } {
  const lines: LogLine[] = [];
  const log: Log = { event: (event, fields) => void lines.push({ event, fields: { ...fields } }) };
  return { log, lines, saw: (event) => lines.filter((line) => line.event === event) };
}
