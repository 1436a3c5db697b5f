// Manifests of the e2e tests: a small web server that answers with its pod's name, as a container and as a process.

const answer = "mkdir -p /www && echo $SWAIN_POD > /www/index.html && exec httpd -f -p 8080 -h /www";

const program = [
  'const { createServer } = require("node:http");',
  'const server = createServer((_req, res) => res.end(process.env.SWAIN_POD + "\\n"));',
  "server.listen(Number(process.env.SWAIN_PORT_HTTP), process.env.SWAIN_HOST ?? '127.0.0.1');",
  'process.on("SIGTERM", () => { server.close(() => process.exit(0)); server.closeIdleConnections(); });',
].join("\n");

/** A workload whose pods run in containers or as processes, by the node they come to. */
export function web(name: string, spec: Record<string, unknown> = {}, container: Record<string, unknown> = {}): object {
  return {
    apiVersion: "swain/v1",
    kind: "Workload",
    metadata: { name },
    spec: {
      replicas: 3,
      // The first process of a container is sent no signal that it does not ask for, so it is killed after this.
      stopGracePeriod: "2s",
      ...spec,
      containers: [
        {
          name: "web",
          image: "busybox:stable",
          command: ["sh", "-c", answer],
          process: { command: [process.execPath, "-e", program] },
          ports: [{ name: "http", containerPort: 8080 }],
          ...container,
        },
      ],
    },
  };
}

export function service(name: string, port: number, workload = name): object {
  return {
    apiVersion: "swain/v1",
    kind: "Service",
    metadata: { name },
    spec: { selector: { workload }, ports: [{ port, targetPort: "http" }] },
  };
}
