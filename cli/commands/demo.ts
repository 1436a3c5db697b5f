import { command } from "../command.ts";

export default command({
  name: "demo",
  description:
    "Show all of it in a minute: start a cluster of three nodes in a temporary folder, apply examples/hello, send requests, " +
    "kill a replica, scale, and leave nothing running.",
  examples: ["swain demo", "swain demo --runtime process"],
  args: {
    runtime: {
      type: "enum",
      options: ["auto", "docker", "process"],
      description: "What the nodes run; auto takes a container engine that has the image or can pull it",
      default: "auto",
    },
    "nats-server": {
      type: "string",
      description: "Path of a nats-server to use (else SWAIN_NATS_SERVER, PATH, a download)",
    },
  },
  run: async (call) => {
    const { runDemo } = await import("../local/demo.ts");
    return runDemo(call);
  },
});
