// Image references: `[registry/]path[:tag][@digest]`, with the grammar of the distribution project. Pure. Called by the
// manifest checks, and by the agent's driver before it asks an engine or a registry.
import { SwainError } from "../kernel/errors.ts";

export interface ImageReference {
  /** Registry and path as written: `busybox`, `localhost:5000/team/web`. */
  readonly repository: string;
  /** `latest` when neither tag nor digest is written. */
  readonly tag?: string;
  /** `sha256:…` */
  readonly digest?: string;
  /** The reference with its default tag spelled out. */
  readonly text: string;
}

const label = "[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?";
const registry = new RegExp(String.raw`^(?:${label}(?:\.${label})*|\[[a-fA-F0-9:]+\])(?::[0-9]{1,5})?$`);
const part = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagForm = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const digestForm = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

/** The first part of a name is a registry only when it looks like a host. */
const isRegistry = (text: string): boolean => /[.:[]/.test(text) || text === "localhost" || /[A-Z]/.test(text);

/** True for `user:password@host/…`: a secret that everybody who may look at the workload would read. */
export const hasCredentials = (text: string): boolean => /@.*\//.test(text);

/** Where they go instead, without a full stop. */
export const noCredentials =
  "it holds credentials, which everybody would see; log in on the nodes with `docker login` or `podman login`";

/** Throws IMAGE_NOT_FOUND: what is no reference names no image. */
export function parseImage(text: string): ImageReference {
  if (hasCredentials(text)) throw new SwainError("IMAGE_NOT_FOUND", `an image reference is none: ${noCredentials}`);
  const fault = imageFault(text);
  if (fault !== undefined) throw new SwainError("IMAGE_NOT_FOUND", `"${text}" is no image reference: ${fault}`);
  const { repository, written, digest } = split(text);
  const tag = written ?? (digest === undefined ? "latest" : undefined);
  return {
    repository,
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
    text: `${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`,
  };
}

/** What keeps the text from being an image reference, without a full stop; undefined when it is one. */
export function imageFault(text: string): string | undefined {
  const { repository, written, digest } = split(text);
  if (digest !== undefined && !digestForm.test(digest)) return "the digest is malformed";
  if (written !== undefined && !tagForm.test(written)) return "the tag is malformed";
  if (repository.length > 255) return "the name is longer than 255 characters";
  const parts = repository.split("/");
  const host = parts.length > 1 && isRegistry(parts[0] ?? "") ? parts.shift() : undefined;
  if (host !== undefined && !registry.test(host)) return "the registry is malformed";
  if (parts.every((name) => part.test(name))) return undefined;
  return "a name has lower-case letters, digits and single separators";
}

/** The parts as written, whether or not they are right. */
function split(text: string): { repository: string; written?: string; digest?: string } {
  const at = text.indexOf("@");
  const named = at === -1 ? text : text.slice(0, at);
  // A colon before the last slash belongs to the registry's port.
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  return {
    repository: colon === -1 ? named : named.slice(0, colon),
    ...(colon === -1 ? {} : { written: named.slice(colon + 1) }),
    ...(at === -1 ? {} : { digest: text.slice(at + 1) }),
  };
}
