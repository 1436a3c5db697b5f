// Where something listens, as people write it.
import { SwainError } from "./errors.ts";

const loopback = "127.0.0.1";

/** HOST:PORT, [HOST]:PORT, or PORT alone, which means loopback. Throws INVALID_ARGUMENT, which names `option`. */
export function listenAddress(text: string, option: string): { host: string; port: number } {
  const match = /^(?:(?:\[([\da-fA-F:.%\w]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match !== null && port <= 65_535) return { host: match[1] ?? match[2] ?? loopback, port };
  throw new SwainError("INVALID_ARGUMENT", `"${text}" is no address for ${option}: write HOST:PORT or PORT`);
}
