// A short run of the flood of bad tokens; `deno task test:tokens` is the long one.
import assert from "node:assert/strict";
import { flood } from "./token-flood.ts";

const SEED = 20261126;

Deno.test(`of 500 random bad tokens per server none is accepted (seed ${SEED})`, async () => {
  for (const { door, bad, admitted, good, goodRefused } of await flood(500, SEED)) {
    assert.deepEqual({ bad, admitted, good, goodRefused }, {
      bad: 500,
      admitted: [],
      good: 10,
      goodRefused: 0,
    }, door);
  }
});
