/**
 * Values from a scrape, for assertions. Whether Prometheus accepts the text is checked with promtool.
 */
import assert from "node:assert/strict";
import type { Stack } from "./stack.ts";

/** Sample to value; a sample is a name with its labels sorted: `name{a="1",b="2"}`. */
export type Samples = Map<string, number>;

export interface Scrape {
  text: string;
  samples: Samples;
}

/** What Prometheus would get now. */
export async function scrape(stack: Stack): Promise<Scrape> {
  const response = await fetch(`${stack.url}/metrics`, {
    headers: { authorization: `Bearer ${stack.supabase.secretKey}` },
  });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  stack.secrets.assertAbsent(text, "the metrics");
  return { text, samples: parseSamples(text) };
}

function parseSamples(text: string): Samples {
  const samples: Samples = new Map();
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined) continue;
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([pair]) => pair).sort();
    const key = pairs.length === 0 ? name : `${name}{${pairs.join(",")}}`;
    assert.ok(!samples.has(key), `${key} comes twice`);
    samples.set(key, Number(value));
  }
  return samples;
}

/** The samples that may only rise. */
export function counters({ samples }: Scrape): Samples {
  return new Map([...samples].filter(([key]) => /^\w+_(total|bucket|count|sum)(\{|$)/.test(key)));
}

/** The samples of one metric with a value other than 0, by their labels. */
export function nonZero({ samples }: Scrape, name: string): Record<string, number> {
  return Object.fromEntries(
    [...samples].filter(([key, value]) => key.startsWith(`${name}{`) && value !== 0)
      .map(([key, value]) => [key.slice(name.length), value]),
  );
}
