/** Draws the lives of a world, and the world. The same seed and number give the same lives. */
import type { ScheduledFault } from "../model/draw-faults.ts";
import { Dice, seedOf } from "./dice.ts";
import type {
  Batch,
  Condition,
  Happening,
  Life,
  LifeEvent,
  Weather,
  WorldSettings,
} from "./life.ts";

/** How many lives share a world. */
export const LIVES_PER_BATCH = 50;
/** Where machines are made; see `REGIONS` of the model test. */
const LIFE_REGIONS = ["iad", "lhr"] as const;
const MINUTE_MS = 60_000;
/**
 * In which lives begin. Each app of its own gets two addresses, and in the simulator an organisation
 * gets one a second.
 */
const BIRTHS_MS = 150_000;

/** @param number Of the batch, from 0. */
export function drawBatch(seed: number, number: number, lives = LIVES_PER_BATCH): Batch {
  const batchSeed = seedOf(seed, number);
  const dice = new Dice(batchSeed);
  const settings = drawSettings(dice);
  const weather = drawWeather(dice);
  if (settings.hosting === "shared" && dice.chance(0.1)) {
    weather.push({ kind: "app-deleted", atMs: 10 * MINUTE_MS, forMs: 0 });
  }
  const drawn = Array.from(
    { length: lives },
    (_, index) =>
      drawLife(new Dice(seedOf(batchSeed, index)), number * LIVES_PER_BATCH + index, settings),
  );
  if (dice.chance(0.15)) addOutage(dice, drawn);
  return { settings, weather, lives: drawn, seed: batchSeed };
}

/** The hosts of half of the machines go away, and the owners of most of these want them gone. */
function addOutage(dice: Dice, lives: readonly Life[]): void {
  const atMs = 2 * MINUTE_MS + dice.upTo(4 * MINUTE_MS);
  const destroys = dice.pick("hangs", "503");
  for (const { events } of lives) {
    if (dice.chance(0.5)) continue;
    events.push({ kind: "host", destroys, forMs: 200_000, atMs });
    const event = dice.weighted<Happening | null>([
      [4, { kind: "delete-user" }],
      [1, { kind: "destroy", byService: false }],
      [1, null],
    ]);
    if (event) events.push({ ...event, atMs: atMs + 1 + dice.upTo(500) });
    events.sort((a, b) => a.atMs - b.atMs);
  }
}

function drawSettings(dice: Dice): WorldSettings {
  const hosting = dice.weighted(
    [
      [2, "shared"],
      [3, "own-app"],
      [5, "own-app behind a router"],
    ] as const,
  );
  return {
    hosting,
    // Idle stop needs apps of their own.
    autostop: hosting === "shared" ? "off" : dice.pick("off", "stop", "suspend"),
    listDelayMs: dice.pick(0, 5_000, 15_000),
    getDelayMs: dice.pick(0, 0, 2_000),
    latencyMs: dice.pick(0, 0, 30, 400),
    exitEventUnder: dice.pick("exit_event", "MonitorEvent", "both"),
    startOfStarted: dice.pick("ok", "409"),
    startRefusalStatus: dice.pick(400, 409, 412),
    waitForUnreachable: dice.pick("until-timeout", "at-once", "409-at-once"),
    suspendFails: dice.pick(0, 0, 0.3),
    pageMax: dice.pick(100, 30),
    getAfterDestroyMs: dice.pick(0, 30_000),
  };
}

function drawWeather(dice: Dice): Weather[] {
  const found: Weather[] = [];
  let atMs = MINUTE_MS;
  for (let count = dice.pick(0, 1, 2); count > 0; count--) {
    atMs += dice.upTo(4 * MINUTE_MS);
    const forMs = dice.pick(5_000, 70_000, 150_000);
    found.push({ ...drawCondition(dice), atMs, forMs });
    atMs += forMs;
  }
  return found;
}

function drawCondition(dice: Dice): Condition {
  const region = dice.pick(...LIFE_REGIONS);
  return dice.weighted<() => Condition>([
    [2, () => ({ kind: "fly-down", how: dice.pick("503", "401", "reset", "hang") })],
    [1, () => ({ kind: "database-down" })],
    [3, () => ({ kind: "silent-region", region })],
    [1, () => ({ kind: "full-region", region })],
    [3, () => {
      const upstream = dice.pick("fly" as const, "database");
      return { kind: "reconcile-faults", upstream, faults: drawFaults(dice) };
    }],
  ])();
}

function drawFaults(dice: Dice): ScheduledFault[] {
  return Array.from({ length: 1 + dice.upTo(3) }, () => drawFault(dice));
}

function drawFault(dice: Dice): ScheduledFault {
  return dice.weighted<() => ScheduledFault>([
    [3, () => ({ kind: "none" })],
    [3, () => ({
      kind: "status",
      status: dice.pick(500, 502, 503, 504),
      effect: dice.chance(0.5),
      retryAfterSeconds: dice.pick(null, 1),
      body: dice.pick("json", "html", "empty", "echo"),
    })],
    [2, () => ({
      kind: "status",
      status: dice.pick(404, 404, 408, 409, 412, 429),
      effect: false,
      retryAfterSeconds: dice.pick(null, 1),
      body: "json",
    })],
    [2, () => ({ kind: "reset", when: dice.pick("before", "after") })],
    [1, () => ({ kind: "hang", when: dice.pick("before", "after") })],
    [1, () => ({ kind: "delay", ms: dice.pick(1_000, 15_000, 45_000), when: "before" })],
    [1, () => ({ kind: "half-answer" })],
    [1, () => ({ kind: "garbage" })],
    [2, () => ({ kind: "crash", when: dice.pick("unsent", "sent", "answered") })],
  ])();
}

function drawLife(dice: Dice, number: number, settings: WorldSettings): Life {
  let atMs = dice.upTo(BIRTHS_MS);
  const first = { ...provision(dice), async: false, key: 0, atMs };
  const events: LifeEvent[] = [first];
  // A life in which hardly anything goes wrong shows what a quiet minute costs.
  const count = dice.pick(1, 2, 3, 4, 5, 6, 8);
  for (let index = 0; index < count; index++) {
    atMs += dice.weighted([
      [3, dice.upTo(2_000)],
      [3, 5_000 + dice.upTo(30_000)],
      [4, MINUTE_MS + dice.upTo(MINUTE_MS)],
      [4, 3 * MINUTE_MS + dice.upTo(MINUTE_MS)],
    ]);
    events.push({ ...drawHappening(dice, settings), atMs });
  }
  return { number, region: dice.pick(...LIFE_REGIONS), events };
}

function drawHappening(dice: Dice, { autostop, hosting }: WorldSettings): Happening {
  const byService = dice.chance(0.2);
  const forMs = dice.pick(10_000, 65_000, 130_000, 200_000);
  const proxied = autostop === "off" ? 0 : 6;
  const ownApp = hosting === "shared" ? 0 : 1;
  return dice.weighted<() => Happening>([
    [3, () => provision(dice)],
    [4, () => ({ kind: "ask", what: "stop", byService })],
    [3, () => ({ kind: "ask", what: "suspend", byService })],
    [6, () => ({ kind: "ask", what: "start", byService })],
    [1, () => ({ kind: "ask", what: "connect", byService })],
    [1, () => ({ kind: "destroy", byService })],
    [4, () => drawExit(dice)],
    [1.5, () => ({ kind: "fail" })],
    [3, () => ({ kind: "operator", does: dice.pick("start", "stop", "suspend", "restart") })],
    [1, () => ({ kind: "operator", does: "destroy" })],
    [ownApp, () => ({ kind: "operator", does: "delete-app" })],
    [proxied, () => ({ kind: "proxy", does: dice.pick("sleep", "sleep", "wake") })],
    [1.5, () => ({ kind: "host", destroys: dice.pick("hangs", "503", "destroying"), forMs })],
    [0.5, () => ({ kind: "no-room", forMs })],
    [0.5, () => ({
      kind: "next-start",
      fails: dice.pick("failed", "stopped"),
      afterMs: dice.pick(0, 500, 5_000),
    })],
    [1, () => ({ kind: "tamper" })],
    [3, () => ({
      kind: "hide",
      from: dice.pick("lists", "everything"),
      chance: dice.pick(0.5, 1),
      forMs,
    })],
    [3, () => {
      const upstream = dice.pick("fly" as const, "fly", "database");
      return { kind: "faults", upstream, faults: drawFaults(dice) };
    }],
    [0.5, () => ({ kind: "delete-user" })],
  ])();
}

function provision(dice: Dice): Extract<Happening, { kind: "provision" }> {
  return {
    kind: "provision",
    key: dice.pick(null, 0, 0, 1),
    async: dice.chance(0.2),
    byService: dice.chance(0.2),
  };
}

/** Three restarts are allowed: more ends than that leave the machine stopped. */
function drawExit(dice: Dice): Happening {
  const oomKilled = dice.chance(0.3);
  return {
    kind: "exit",
    exitCode: oomKilled ? 137 : dice.pick(0, 1, 1, 139),
    oomKilled,
    times: dice.pick(1, 2, 20, 20),
    uptimeMs: dice.pick(100, 1_000, 20_000),
  };
}
