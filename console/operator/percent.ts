/** `98.5 %`; a dash for nothing. Never 100 while anything failed. */
export function percent(rate: number | null): string {
  if (rate === null) return "–";
  const shown = Math.floor(rate * 1_000) / 10;
  return `${Number.isInteger(shown) ? shown : shown.toFixed(1)} %`;
}
