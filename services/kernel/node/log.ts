// A process's own log lines: one per event, to stderr, so that stdout stays free for what a command prints.
import { createConsola, LogLevels } from "consola/core";
import type { ConsolaInstance, LogObject } from "consola/core";
import { logFormats, withoutSecrets } from "../log.ts";
import type { LogFields, LogFormat, Logger, LogLevel } from "../log.ts";

const levels: Readonly<Record<LogLevel, number>> = {
  debug: LogLevels.debug,
  info: LogLevels.info,
  warn: LogLevels.warn,
  error: LogLevels.error,
};

interface LogOptions {
  /** The least that is written; by default what SWAIN_LOG says, else info. */
  readonly level?: LogLevel;
  /** By default what SWAIN_LOG_FORMAT says, else pretty on a terminal and JSON anywhere else. */
  readonly format?: LogFormat;
}

/** A logger that writes to stderr. */
export function processLogger(options: LogOptions = {}): Logger {
  const level = options.level ?? levelOf(process.env["SWAIN_LOG"]) ?? "info";
  const format =
    options.format ?? formatOf(process.env["SWAIN_LOG_FORMAT"]) ?? (process.stderr.isTTY ? "pretty" : "json");
  const line = format === "json" ? jsonLine : textLine;
  const consola = createConsola({
    level: levels[level],
    // Consola holds back repeated lines; here every event has its line.
    throttle: 0,
    reporters: [{ log: (entry) => void process.stderr.write(`${withoutSecrets(line(entry))}\n`) }],
  });
  return loggerOf(consola, {});
}

function levelOf(text: string | undefined): LogLevel | undefined {
  return text !== undefined && Object.hasOwn(levels, text) ? (text as LogLevel) : undefined;
}

function formatOf(text: string | undefined): LogFormat | undefined {
  return logFormats.find((format) => format === text);
}

function loggerOf(consola: ConsolaInstance, base: LogFields): Logger {
  const write =
    (level: LogLevel) =>
    (message: string, { message: error, ...fields }: LogFields = {}): void => {
      // The message of an error would stand in place of what happened.
      consola[level]({ message, fields: { ...base, ...fields, ...(error === undefined ? {} : { error }) } });
    };
  return {
    debug: write("debug"),
    info: write("info"),
    warn: write("warn"),
    error: write("error"),
    with: (fields) => loggerOf(consola, { ...base, ...fields }),
  };
}

/** Consola moves the message into `args`. */
function parts(entry: LogObject): { message: string; fields: LogFields } {
  const first: unknown = entry.args[0];
  return { message: typeof first === "string" ? first : "", fields: (entry["fields"] as LogFields | undefined) ?? {} };
}

function jsonLine(entry: LogObject): string {
  const { message, fields } = parts(entry);
  return JSON.stringify({ time: entry.date.toISOString(), level: entry.type, message, ...fields });
}

function textLine(entry: LogObject): string {
  const { message, fields } = parts(entry);
  const shown = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${word(value)}`);
  const text = message.replace(/\s*[\r\n]+\s*/g, " ");
  return [entry.date.toISOString(), entry.type.padEnd(5), text, ...shown].join(" ");
}

/** A value of one line; quoted when it could be misread. */
function word(value: LogFields[string]): string {
  return typeof value === "string" && !/^[\w./:@+-]+$/.test(value) ? JSON.stringify(value) : String(value);
}
