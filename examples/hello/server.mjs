// Answers every request with the name of the pod it runs in, and with its process id in a header. Prints a line for each.
import { createServer } from "node:http";

const pod = process.env.SWAIN_POD ?? "nowhere";

const server = createServer((request, response) => {
  response.setHeader("x-pid", String(process.pid));
  response.end(`hello from ${pod}\n`);
  process.stdout.write(`${request.method} ${request.url} answered\n`);
});

server.listen(Number(process.env.SWAIN_PORT_HTTP ?? 8080), () => process.stdout.write(`${pod} listens\n`));

process.on("SIGTERM", () => {
  // Requests under way are answered; idle connections would keep the server open.
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
