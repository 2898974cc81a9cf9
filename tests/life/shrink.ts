/** Makes a batch that breaks an invariant as small as it gets while it still does. */
import type { ModelWorld } from "../model/model-world.ts";
import { type Finding, findingsOf } from "./check-lives.ts";
import type { Batch, WorldSettings } from "./life.ts";
import { runBatch } from "./run-batch.ts";

/** How many smaller batches are tried. */
const MAX_TRIES = 120;

/** Nothing out of the ordinary. */
const PLAIN: Partial<WorldSettings> = {
  hosting: "own-app behind a router",
  autostop: "off",
  listDelayMs: 0,
  getDelayMs: 0,
  latencyMs: 0,
  exitEventUnder: "exit_event",
  startOfStarted: "409",
  startRefusalStatus: 412,
  waitForUnreachable: "until-timeout",
  suspendFails: 0,
  pageMax: 100,
  getAfterDestroyMs: 0,
};

/** The smallest batch found in which something of the same shape is found, and that finding. */
export async function shrink(world: ModelWorld, finding: Finding): Promise<Finding> {
  let smallest = finding;
  let tries = 0;
  const attempt = async (batch: Batch): Promise<boolean> => {
    if (tries++ >= MAX_TRIES) return false;
    const found = findingsOf(world, await runBatch(world, batch))
      .find(({ shape }) => shape === finding.shape);
    if (found) smallest = found;
    return found !== undefined;
  };
  const { life, batch } = finding;
  const own = batch.lives[life ?? -1];
  if (own === undefined || !await attempt({ ...batch, lives: [own] })) {
    await withFewerLives(smallest.batch, attempt);
  }
  for (let index = 0; index < smallest.batch.weather.length;) {
    const { weather } = smallest.batch;
    if (!await attempt({ ...smallest.batch, weather: weather.toSpliced(index, 1) })) index++;
  }
  for (let place = 0; place < smallest.batch.lives.length; place++) {
    for (let index = 0; index < (smallest.batch.lives[place]?.events.length ?? 0);) {
      const lives = smallest.batch.lives.map((one, other) =>
        other === place ? { ...one, events: one.events.toSpliced(index, 1) } : one
      );
      if (!await attempt({ ...smallest.batch, lives })) index++;
    }
  }
  for (const [name, value] of Object.entries(PLAIN)) {
    const settings = { ...smallest.batch.settings, [name]: value };
    if (JSON.stringify(settings) === JSON.stringify(smallest.batch.settings)) continue;
    await attempt({ ...smallest.batch, settings });
  }
  return smallest;
}

/** Halves first, then ever smaller parts are left out. */
async function withFewerLives(
  whole: Batch,
  attempt: (batch: Batch) => Promise<boolean>,
): Promise<void> {
  let current = whole;
  for (let size = Math.ceil(current.lives.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < current.lives.length && current.lives.length > 1;) {
      const smaller = { ...current, lives: current.lives.toSpliced(from, size) };
      if (smaller.lives.length > 0 && await attempt(smaller)) current = smaller;
      else from += size;
    }
  }
}
