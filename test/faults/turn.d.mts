export function turns(folder?: string): string[];
export function turnOf(commit: string, all?: readonly string[]): string;
