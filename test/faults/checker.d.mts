export interface Figures {
  readonly acknowledged: number;
  /** Changes of the template among them. */
  readonly deploys: number;
  /** Programs that a deploy had yet to replace when the fault began. */
  readonly rolling: number;
  readonly lost: number;
  readonly doubled: number;
  /** Programs that ended though neither the fault hit them nor the log had them stopped. */
  readonly unasked: number;
  /** Fenced pods that their agent stopped of its own accord. */
  readonly byFence: number;
  /** From the fault until the first of them had ended. */
  readonly fencedMs: number | null;
  /** From then until the next pod of its workload began, wherever; null when none did. */
  readonly fenceGapMs: number | null;
  /** From the fault until a node was first called unknown, by the leader's clock. */
  readonly unknownMs: number | null;
  readonly replaced: number;
  /** From the fault until a pod was first given up. */
  readonly givenUpMs: number | null;
  /** From the end of the fault until the last program of a pod that was given up had ended; Infinity when one runs on. */
  readonly oldMs: number | null;
  /** Writes by a leader that was followed by another. */
  readonly stale: number;
  readonly requests: number;
  readonly failed: number;
  readonly silenceMs: number;
  /** Infinity when it never came to rest. */
  readonly convergedMs: number;
}
/** What a run came to in which leaders or servers were ended one after the other. */
export interface Endings {
  readonly ends: readonly { readonly what: string; readonly electedMs: number; readonly changedMs: number }[];
  readonly acknowledged: number;
  readonly lost: number;
  /** Operations that are in the log twice. */
  readonly twice: number;
  readonly stale: number;
  /** Looks at the programs that showed others than the first. */
  readonly touched: number;
  readonly doubled: number;
  readonly requests: number;
  readonly failed: number;
}
export function endings(lines: readonly object[]): Endings;
export function read(file: string): object[];
export function figures(lines: readonly object[]): Figures;
export function report(folder: string): string;
