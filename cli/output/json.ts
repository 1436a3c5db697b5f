// JSON for people and programs, of objects whose values come from manifests and programs.

/**
 * The signs above ASCII that terminals take for controls (U+009B begins a sequence as ESC does), as JSON and YAML write them in
 * quotes: JSON leaves them as they are, and YAML quotes texts that hold one.
 */
export const escaped = (text: string): string =>
  text.replace(/[\u007F-\u009F]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);

/** The value as JSON on one line, or on several with `indent`; ends with a line end. */
export const jsonText = (value: unknown, indent?: number): string =>
  `${escaped(JSON.stringify(value, null, indent))}\n`;
