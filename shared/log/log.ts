/**
 * Structured logging: one JSON object a line, to stderr unless told otherwise.
 *
 *   {"level":"info","time":"2026-01-02T03:04:05.678Z","name":"worker","pid":7,"event":"image_saved",
 *    "shardId":"...","bytes":1048576,"ms":41}
 *
 * There is one call, `event`, over the closed table in `events.ts`; free text has no way in.
 * Lines are written synchronously: they are few (a request is logged at `debug` only), and the
 * last line before a crash is the one that is needed.
 */
import { type DestinationStream, destination, pino } from 'pino';
import { type Clock, systemClock } from '../base/clock.ts';
import { describeError, safeText } from './describe-error.ts';
import {
  LOG_EVENTS,
  type LogEvent,
  type LogFieldKind,
  type LogFields,
  type LogLevel,
} from './events.ts';

export interface Log {
  event<E extends LogEvent>(event: E, fields: LogFields<E>): void;
}

interface LogOptions {
  level: LogLevel;
  /** Which process speaks. */
  name: string;
  /** Gets each line; stderr when absent. */
  destination?: DestinationStream;
  clock?: Clock;
}

export function createLog(options: LogOptions): Log {
  const { level, name, clock = systemClock } = options;
  const logger = pino(
    {
      level,
      base: { name, pid: process.pid },
      formatters: { level: (label) => ({ level: label }) },
      timestamp: () => `,"time":"${new Date(clock.now()).toISOString()}"`,
    },
    options.destination ?? destination({ dest: process.stderr.fd, sync: true }),
  );
  return {
    event(event, fields) {
      const spec = LOG_EVENTS[event];
      if (!logger.isLevelEnabled(spec.level)) return;
      logger[spec.level]({ event, ...pickFields(spec.fields, fields) });
    },
  };
}

/** A log that says nothing, for tests and tools. */
export const quietLog: Log = { event: () => undefined };

/**
 * The fields that the table names, in its order, each made safe by its kind. The compiler refuses
 * other fields, but a spread object may carry more than its type says: those are left out here.
 */
function pickFields(
  kinds: Readonly<Record<string, LogFieldKind>>,
  fields: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(kinds)) {
    const value = fields[name];
    if (value === undefined) continue;
    if (kind === 'error') picked[name] = describeError(value);
    else if (kind === 'text' && typeof value === 'string') picked[name] = safeText(value);
    else if (typeof value === kind) picked[name] = value;
  }
  return picked;
}
