// The text of the nats-server configuration that `swain up` runs with.
import type { Permissions, Role } from "./roles.ts";
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
}

/** The whole file. It holds public keys only. */
export function configText(config: ServerConfig): string {
  const users = config.users.map((user) => userText(user, permissionsOf(user.role, config.cluster)));
  return `# Written by swain up; changes are overwritten. Keys here are public halves.
server_name: ${quote(`swain-${config.cluster}`)}
listen: ${quote(`${config.host}:${config.port}`)}
# A gone client is noticed within half a minute.
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

function userText(user: User, permissions: Permissions): string {
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
