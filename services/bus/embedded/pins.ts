// The upstream release of nats-server that Swain fetches when a machine has none.

/** One file of a release and the SHA-256 it must have. */
export interface Pin {
  /** Without the `v`. */
  readonly version: string;
  /** Name of the archive; it holds a folder of the same name without `.tar.gz`. */
  readonly file: string;
  readonly sha256: string;
}

/** On the production floor of the current line; `go install` uses the same version. */
export const pinnedVersion = "2.14.3";

/** From the release's own SHA256SUMS, as the official image's build files repeat them. By Node's platform and architecture. */
const sums: Readonly<Record<string, readonly [asset: string, sha256: string]>> = {
  "linux-x64": ["linux-amd64", "f3d0c820c749f81d717310fb00d4903919e70e3e66b268bd352a088b9788eb93"],
  "linux-arm64": ["linux-arm64", "1759b6a0ddebade9471b7c02891dfaa8c73b526c6f3ce391d4e21ec3eceffab8"],
  "linux-arm": ["linux-arm7", "d70d6de7ad0d587ad3047f4516a054f64b693edb79894d7ec0a2d176be31f6cf"],
  "linux-ppc64": ["linux-ppc64le", "12b4ecc73e7023b501a374913c7e70f7487107743dbab7cc7da627348b87f9d3"],
  "linux-s390x": ["linux-s390x", "be525fec7cf3dac23e9617ca2b4b3767e79b1f684a456f3a2e85e1b3d40a6da9"],
  "darwin-x64": ["darwin-amd64", "effa518fe623433d7c3321991db419bb1e00aa9b19ae761b559b580434afc3ab"],
  "darwin-arm64": ["darwin-arm64", "e086395457a7a93a440433a446c9f161f917d35c0374640555123e8d8d4b7fe9"],
};

/** The release file for a platform, or null when there is none with a known checksum. */
export function pinFor(platform: string, arch: string): Pin | null {
  const entry = sums[`${platform}-${arch}`];
  if (entry === undefined) return null;
  return {
    version: pinnedVersion,
    file: `nats-server-v${pinnedVersion}-${entry[0]}.tar.gz`,
    sha256: entry[1],
  };
}
