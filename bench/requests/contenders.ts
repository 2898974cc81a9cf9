/** What is measured: the function beside what it is compared with, in each way to host machines. */

const FUNCTION = new URL("../../supabase/functions/provision-machine/index.ts", import.meta.url);
const FLOOR = new URL("./floor.ts", import.meta.url);
const NAIVE = new URL("./naive.ts", import.meta.url);

const OWN_APP = { FLY_ORG_SLUG: "bench-org" };

export type Mode = "own app" | "own app, router" | "shared app";
export type Variant = "floor" | "naive" | "ours";

/** A server under measurement. */
export interface Contender {
  mode: Mode;
  variant: Variant;
  entry: URL;
  /** What chooses the mode, beside the settings that all have. */
  env: Record<string, string>;
}

/** Each mode's floor makes the calls of that mode. The naive version knows the shared app alone. */
export const CONTENDERS: readonly Contender[] = [
  ...besideFloor("own app", OWN_APP),
  ...besideFloor("own app, router", { ...OWN_APP, FLY_ROUTER_URL: "wss://bench-router.fly.dev" }),
  ...besideFloor("shared app", {}),
  { mode: "shared app", variant: "naive", entry: NAIVE, env: {} },
];

/** The modes in the order of the tables. */
export const MODES: readonly Mode[] = ["own app", "own app, router", "shared app"];

function besideFloor(mode: Mode, env: Record<string, string>): Contender[] {
  return [
    { mode, variant: "floor", entry: FLOOR, env },
    { mode, variant: "ours", entry: FUNCTION, env },
  ];
}
