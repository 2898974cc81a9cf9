/** Reads Prometheus' text format, https://prometheus.io/docs/instrumenting/exposition_formats/ */

export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** Every sample, in order. Throws an Error that names the first line that is not one. */
export function parsePrometheus(text: string): Sample[] {
  return text.split("\n").flatMap((raw, index) => {
    const line = raw.trim();
    if (line === "" || line.startsWith("#")) return [];
    const [, name, labels = "", value = ""] = LINE.exec(line) ?? [];
    const number = parseValue(value);
    if (name === undefined || number === undefined) {
      throw new Error(`Line ${index + 1} of the metrics is not a sample: ${line}`);
    }
    return [{ name, labels: parseLabels(labels), value: number }];
  });
}

function parseValue(text: string): number | undefined {
  if (text === "NaN") return NaN;
  if (/^[+-]?Inf$/.test(text)) return text.startsWith("-") ? -Infinity : Infinity;
  const value = Number(text);
  return Number.isNaN(value) ? undefined : value;
}

function parseLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    Array.from(text.matchAll(LABEL), ([, name = "", value = ""]) => [name, unescape(value)]),
  );
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, (_, character: string) => character === "n" ? "\n" : character);
}

/** Sums the samples of a metric per value of a label, greatest first; only those that `keep` accepts. */
export function sumBy(
  samples: Sample[],
  name: string,
  label: string,
  keep: (labels: Record<string, string>) => boolean = () => true,
): Map<string, number> {
  const sums = new Map<string, number>();
  for (const sample of samples) {
    if (sample.name !== name || !keep(sample.labels)) continue;
    const key = sample.labels[label] ?? "";
    sums.set(key, (sums.get(key) ?? 0) + sample.value);
  }
  return new Map([...sums].filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]));
}

/** The value of a metric without labels; undefined when it is not there. */
export function gauge(samples: Sample[], name: string): number | undefined {
  return samples.find((sample) => sample.name === name)?.value;
}
