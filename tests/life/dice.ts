/** Drawing at random, from a seed. */
import { type Random, seededRandom } from "../../dev/stack/fly/mod.ts";

export class Dice {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** True so often. */
  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  /** A whole number from 0 to `most`. */
  upTo(most: number): number {
    return Math.floor(this.#random() * (most + 1));
  }

  pick<T>(first: T, ...others: readonly T[]): T {
    return [first, ...others][this.upTo(others.length)] ?? first;
  }

  /** One of these, each as likely as its weight. */
  weighted<T>(options: readonly (readonly [weight: number, value: T])[]): T {
    let left = this.#random() * options.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, value] of options) {
      left -= weight;
      if (left < 0) return value;
    }
    throw new RangeError("nothing to draw from");
  }
}

/** Another seed for part `part` of what has this seed. */
export function seedOf(seed: number, part: number): number {
  let mixed = (seed ^ Math.imul(part + 1, 0x9e3779b1)) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35) >>> 0;
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
