/** A source of randomness: each call gives a number in [0, 1), as `Math.random` does. */
export type Random = () => number;

/**
 * A repeatable source of randomness (the mulberry32 generator): one seed gives one sequence.
 *
 * @param seed Any integer; only its lower 32 bits count.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
