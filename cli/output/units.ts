// Amounts and times as people read them.

/** Thousandths of a core: `500m`, `2`. */
export function cpuText(millis: number): string {
  return millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`;
}

const binary = ["", "Ki", "Mi", "Gi", "Ti"];

/** Bytes: `256Mi`, `1.5Gi`; three digits at least, then rounded. */
export function memoryText(bytes: number): string {
  let amount = bytes;
  let unit = 0;
  while (amount >= 1024 && unit < binary.length - 1) {
    amount /= 1024;
    unit += 1;
  }
  const text = amount >= 100 || Number.isInteger(amount) ? String(Math.round(amount)) : amount.toFixed(1);
  return `${text.replace(/\.0$/, "")}${binary[unit]}`;
}

const units: readonly (readonly [string, number])[] = [
  ["d", 86_400],
  ["h", 3600],
  ["m", 60],
  ["s", 1],
];

/** A duration in its two largest units: `3m12s`, `5d2h`, `45s`. Below a second, and for clocks ahead of ours, `0s`. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const first = units.findIndex(([, size]) => seconds >= size);
  if (first < 0) return "0s";
  const [name, size] = units[first] ?? ["s", 1];
  const rest = units[first + 1];
  const whole = `${Math.floor(seconds / size)}${name}`;
  const left = rest === undefined ? 0 : Math.floor((seconds % size) / rest[1]);
  return left === 0 || rest === undefined ? whole : `${whole}${left}${rest[0]}`;
}
