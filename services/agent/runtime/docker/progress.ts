// What a pull's progress lines add up to. Pure.

interface Layer {
  done: boolean;
  current: number;
  total: number;
}

/** Statuses after which the engine does nothing more for a layer. */
const finished = new Set(["Pull complete", "Already exists"]);

/** More layers than an image may have (127) are not counted. */
const mostLayers = 256;

export class PullProgress {
  private readonly image: string;
  private readonly layers = new Map<string, Layer>();
  private error: { code: number; message: string } | null = null;

  constructor(image: string) {
    this.image = image;
  }

  /** Takes one line of the engine's answer. */
  take(line: Readonly<Record<string, unknown>>): void {
    const detail = line["errorDetail"] as { code?: unknown; message?: unknown } | undefined;
    if (detail !== undefined || line["error"] !== undefined) {
      const message = String(detail?.message ?? line["error"]);
      this.error = { code: typeof detail?.code === "number" ? detail.code : 500, message };
    }
    const { id, status } = line;
    const progress = line["progressDetail"] as { current?: unknown; total?: unknown } | undefined;
    if (typeof id !== "string" || typeof status !== "string" || progress === undefined) return;
    const layer = this.layers.get(id) ?? { done: false, current: 0, total: 0 };
    if (!this.layers.has(id) && this.layers.size >= mostLayers) return;
    this.layers.set(id, layer);
    layer.done ||= finished.has(status);
    // Extracting counts from zero again; only the download is told.
    if (status !== "Downloading") return;
    if (typeof progress.current === "number") layer.current = progress.current;
    if (typeof progress.total === "number") layer.total = progress.total;
  }

  /** The error the engine reported inside the stream, if any; `code` is an HTTP status. */
  failure(): { readonly code: number; readonly message: string } | null {
    return this.error;
  }

  /** `pulling busybox:stable: 2 of 5 layers, 12 of 40 MB` */
  text(): string {
    const layers = [...this.layers.values()];
    if (layers.length === 0) return `pulling ${this.image}`;
    const done = layers.filter((layer) => layer.done).length;
    const total = layers.reduce((sum, layer) => sum + layer.total, 0);
    const current = layers.reduce((sum, layer) => sum + (layer.done ? layer.total : layer.current), 0);
    const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
    const size = total === 0 ? "" : `, ${megabytes(current)} of ${megabytes(total)} MB`;
    return `pulling ${this.image}: ${done} of ${layers.length} layers${size}`;
  }
}
