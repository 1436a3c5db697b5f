// The text of the nats-server configuration that `swain up` runs with.
import type { Role } from "./roles.ts";
import { permissionsOf } from "./roles.ts";

/** A role and the public half of its key. */
export interface User {
  readonly role: Role;
  /** `U…` */
  readonly publicKey: string;
}

export interface ServerConfig {
  readonly cluster: string;
  readonly host: string;
  readonly port: number;
  /** Folder of JetStream's files. */
  readonly store: string;
  /** Whether the server knows `sync_interval: always`; without it an acknowledged append may be lost with the power. */
  readonly syncAlways: boolean;
  readonly users: readonly User[];
  /** Files of the certificate clients must see; without them there is no TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string } | undefined;
}

/** The whole file. It holds public keys only. */
export function configText(config: ServerConfig): string {
  const users = config.users.map((user) => userText(user, config.cluster));
  return `# Written by swain up; changes are overwritten. Keys here are public halves.
server_name: ${quote(`swain-${config.cluster}`)}
listen: ${quote(`${hostText(config.host)}:${config.port}`)}
${config.tls === undefined ? "" : tlsText(config.tls)}# A gone client is noticed within half a minute.
ping_interval: "10s"
ping_max: 2
jetstream {
  store_dir: ${quote(config.store)}
${config.syncAlways ? "  sync_interval: always\n" : ""}}
authorization {
  users: [
${users.join("\n")}
  ]
}
`;
}

const tlsText = ({ certificate, key }: { certificate: string; key: string }): string =>
  `tls {\n  cert_file: ${quote(certificate)}\n  key_file: ${quote(key)}\n}\n`;

/** An address as it stands before a port. */
export const hostText = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** One user with its rights, as it stands in the configuration. */
export function userText(user: User, cluster: string): string {
  const permissions = permissionsOf(user.role, cluster);
  return `    # ${user.role}
    {
      nkey: ${quote(user.publicKey)}
      permissions: {
        publish: { allow: [
${listText(permissions.publish)}
        ] }
        subscribe: { allow: [
${listText(permissions.subscribe)}
        ] }
      }
    }`;
}

const listText = (subjects: readonly string[]): string =>
  subjects.map((subject) => `          ${quote(subject)}`).join("\n");

/** The configuration language reads JSON strings as they are. */
const quote = (text: string): string => JSON.stringify(text);
