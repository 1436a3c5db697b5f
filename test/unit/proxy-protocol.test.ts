import { describe, expect, it } from "vitest";
import { clientHeader, ownHeader } from "../../services/proxy/proxy-protocol.ts";

const ends = (source: string, destination: string) => ({
  source: { address: source, port: 56_324 },
  destination: { address: destination, port: 443 },
});
const line = (source: string, destination: string): string =>
  new TextDecoder().decode(clientHeader(1, ends(source, destination)));
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const signature = "0d0a0d0a000d0a515549540a";

describe("the PROXY protocol's header", () => {
  it("v1 is a line", () => {
    expect(line("192.0.2.1", "198.51.100.7")).toBe("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n");
    expect(line("2001:db8::1", "::1")).toBe("PROXY TCP6 2001:db8:0:0:0:0:0:1 0:0:0:0:0:0:0:1 56324 443\r\n");
    const longest = Array(8).fill("ffff").join(":");
    expect(line(longest, longest).length).toBeLessThanOrEqual(107);
  });

  it("v2 is binary", () => {
    expect(hex(clientHeader(2, ends("192.0.2.1", "198.51.100.7")))).toBe(
      `${signature}2111000cc0000201c6336407dc0401bb`,
    );
    expect(hex(clientHeader(2, ends("2001:db8::1", "::1")))).toBe(
      `${signature}2121002420010db8000000000000000000000001${"0".repeat(31)}1dc0401bb`,
    );
  });

  it("shows IPv4 clients of a socket for both families as IPv4, and mixed ends as IPv6", () => {
    expect(line("::ffff:192.0.2.1", "::ffff:192.0.2.2")).toBe("PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n");
    expect(line("192.0.2.1", "2001:db8::2")).toBe(
      "PROXY TCP6 0:0:0:0:0:ffff:c000:201 2001:db8:0:0:0:0:0:2 56324 443\r\n",
    );
    expect(line("fe80::1%eth0", "fe80::2%eth0")).toBe("PROXY TCP6 fe80:0:0:0:0:0:0:1 fe80:0:0:0:0:0:0:2 56324 443\r\n");
  });

  it("says that the ends are not known, or that the connection is the proxy's own", () => {
    expect(new TextDecoder().decode(clientHeader(1, undefined))).toBe("PROXY UNKNOWN\r\n");
    expect(new TextDecoder().decode(ownHeader(1))).toBe("PROXY UNKNOWN\r\n");
    expect(hex(clientHeader(2, undefined))).toBe(`${signature}21000000`);
    expect(hex(ownHeader(2))).toBe(`${signature}20000000`);
    for (const bad of ["", "x", "1.2.3", "1.2.3.256", "1::2::3", ":::", "12345::", "1:2:3"]) {
      expect(line(bad, "192.0.2.1")).toBe("PROXY UNKNOWN\r\n");
    }
  });
});
