/** What others have published: times, limits and prices that the benchmark takes over or shows beside it. */

/** Milliseconds. Ranges are drawn evenly. */
export const FLY = {
  /** A call to the Machines API, there and back. Not published; as in bench:burst. */
  apiMs: { minMs: 40, maxMs: 60 },
  /**
   * From a create to `started` or, with `skip_launch`, to `stopped`: seen 5 to 9 s with an image that
   * the host has (DayriseA/checkout-surge); documented "in the tens of seconds at the low end".
   * https://fly.io/docs/machines/overview/
   */
  createMs: { minMs: 5_000, maxMs: 9_000 },
  /** From the start of a stopped machine to `started`: a boot of about 300 ms. https://fly.io/docs/machines/overview/ */
  startMs: { minMs: 300, maxMs: 300 },
  /** Until the program of a machine that has just started serves: 1 to 2 s and more. */
  programMs: 1_000,
} as const;

/** A call to the database, there and back. */
export const DATABASE_MS = { minMs: 4, maxMs: 6 };

/** A WebSocket through Fly Proxy and a router: TCP, TLS, upgrade and first message, 25 ms each. */
export const CONNECT_MS = 4 * 25;

/** p50 from create to first command, in public benchmarks of 2026, over a real network. */
export const SANDBOXES: Readonly<Record<string, number>> = {
  Daytona: 186,
  E2B: 491,
  Vercel: 671,
  Modal: 1_723,
  Cloudflare: 2_056,
};
