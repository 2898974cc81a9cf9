/** Starts a sleeping Machine because a request needs it. */
import { FlyRefusal } from "../api/errors.ts";
import { RateLimiter } from "../api/rate-limit.ts";
import { untilChange } from "../serve/until-change.ts";
import type { Machine } from "../world/machine.ts";
import { requestStart } from "../world/starting.ts";
import type { MachineState } from "../world/types.ts";
import type { World } from "../world/world.ts";
import { ProxyError } from "./proxy-error.ts";
import type { ProxySettings } from "./settings.ts";
import type { Sightings } from "./sightings.ts";

/** States from which a start leads anywhere; from `suspending` too (community.fly.io, topic 26623). */
const ASLEEP: ReadonlySet<MachineState> = new Set(["stopped", "suspended", "suspending"]);
const TRIES = 3;
const RETRY_AFTER_MS = 1_000;

export class Wakes {
  readonly #limiter = new RateLimiter();
  readonly #underWay = new Map<Machine, Promise<void>>();

  constructor(
    private readonly world: World,
    private readonly sightings: Sightings,
    private readonly settings: () => ProxySettings,
    private readonly closing: AbortSignal,
  ) {}

  /** Asleep, or on its way up for another request. */
  canWake(machine: Machine): boolean {
    return ASLEEP.has(machine.state(this.world.now())) || this.#underWay.has(machine);
  }

  /**
   * Starts the Machine and waits until it is `started`. Requests that come meanwhile share the start.
   *
   * @throws {ProxyError} 503 when it does not start in time.
   */
  async wake(machine: Machine): Promise<void> {
    const underWay = this.#underWay.get(machine) ?? this.#wake(machine);
    this.#underWay.set(machine, underWay);
    try {
      await underWay;
    } finally {
      this.#underWay.delete(machine);
    }
  }

  async #wake(machine: Machine): Promise<void> {
    const { world } = this;
    const giveUp = new AbortController();
    const finished = new AbortController();
    const ended = AbortSignal.any([giveUp.signal, this.closing]);
    const timeout = world.clock.sleep(this.settings().wakeTimeoutMs, finished.signal)
      .then(() => giveUp.abort(), () => {/* it started in time */});
    try {
      await this.#start(machine, ended);
      while (!ended.aborted && machine.state(world.now()) === "starting") {
        await untilChange(world.clock, machine, ended);
      }
    } finally {
      finished.abort();
      await timeout;
    }
    if (machine.state(world.now()) !== "started") {
      throw this.#failed("PM03", machine, `it is ${machine.state(world.now())}`);
    }
    this.sightings.noticeStart(machine);
  }

  /** The proxy's own starts meet the API's refusals and its rate limit for this Machine. */
  async #start(machine: Machine, ended: AbortSignal): Promise<void> {
    for (let attempt = 1;; attempt++) {
      const refusal = this.#callStart(machine);
      if (refusal === null) return;
      if (attempt === TRIES || ended.aborted) throw refusal;
      await this.world.clock.sleep(RETRY_AFTER_MS, ended).catch((error) => {
        if (!ended.aborted) throw error;
      });
    }
  }

  /** @returns null when it is on its way up. */
  #callStart(machine: Machine): ProxyError | null {
    const { world } = this;
    const { id } = machine.identity;
    const { rateLimits } = world.settings;
    if (rateLimits && !this.#limiter.take(rateLimits, "start", "POST", id, world.now())) {
      return this.#failed("PM01", machine, "rate limit exceeded");
    }
    try {
      requestStart(world, machine);
      return null;
    } catch (error) {
      if (!(error instanceof FlyRefusal)) throw error;
      return this.#failed("PM07", machine, error.message);
    }
  }

  #failed(code: "PM01" | "PM03" | "PM07", machine: Machine, why: string): ProxyError {
    return new ProxyError(code, 503, `could not wake the machine: ${why}`, machine.identity.id);
  }
}
