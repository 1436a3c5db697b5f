// Port for a process's own log lines (not the cluster's log). One line per event, to stderr in real processes.

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

export const logLevels: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** json: one object per line, for programs. pretty: one line of text, for people. */
export type LogFormat = "json" | "pretty";
export const logFormats: readonly LogFormat[] = ["json", "pretty"];

/** Passwords in addresses, seeds of keys, and join tokens do not belong into a log, whoever puts them into a message. */
const secrets: readonly [RegExp, string][] = [
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi, "$1***@"],
  [/\bS[UANOCX][A-Z2-7]{56}\b/g, "***"],
];

/** The text with what must stay secret blotted out. */
export function withoutSecrets(text: string): string {
  return secrets.reduce((clean, [pattern, instead]) => clean.replace(pattern, instead), text);
}

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose lines all carry these fields. */
  with(fields: LogFields): Logger;
}

/** A logger that writes nothing. */
export const silent: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silent,
};
