/** What was true of machines at any moment, and what Fly.io let reconcile see of it. */
import { type ClearRun, type Kind, type Period, periodsOf } from "../invariants/lifecycle.ts";
import type { LifeRequest } from "./callers.ts";
import type { LifeCall } from "./network.ts";
import type { LivedMachine, Observation, ReconcileRun } from "./observation.ts";
import { userId } from "../model/model-world.ts";

/** A request whose isolate ended may have left a lease that lasts so long. */
const LEASE_AFTER_DEATH_MS = 75_000;
const LISTS = ["list", "organization-machines", "app-list"];

export interface TrueMachine extends LivedMachine {
  periods: Period[];
}

export class Truth {
  readonly machines: TrueMachine[];
  readonly #byId = new Map<string, TrueMachine>();
  readonly #callsOfRun = new Map<number, LifeCall[]>();
  readonly #clear = new Map<string, ClearRun[]>();
  /** Which life a machine name, or a row's owner, belongs to. */
  readonly #lives = new Map<string, number>();

  constructor(readonly seen: Observation) {
    this.machines = seen.machines.map((machine) => ({
      ...machine,
      periods: periodsOf(machine.history),
    }));
    for (const machine of this.machines) this.#byId.set(machine.id, machine);
    for (const call of seen.calls) {
      if (call.run === null) continue;
      const calls = this.#callsOfRun.get(call.run) ?? [];
      calls.push(call);
      this.#callsOfRun.set(call.run, calls);
    }
    const users = new Map(seen.batch.lives.map((_, index) => [userId(index), index]));
    for (const { row } of seen.versions) {
      const life = users.get(row.user_id ?? "");
      if (life !== undefined) this.#lives.set(row.machine_id, life);
    }
  }

  machine(flyMachineId: string | null): TrueMachine | undefined {
    return this.#byId.get(flyMachineId ?? "");
  }

  /** The life of a row or machine of this name. */
  lifeOf(name: string): number | undefined {
    return this.#lives.get(name);
  }

  callsOf({ number }: ReconcileRun): LifeCall[] {
    return this.#callsOfRun.get(number) ?? [];
  }

  /** The runs in which nothing hid a machine of this life; one that is gone is hidden more easily. */
  clearRuns(life: number, region: string, gone: boolean): ClearRun[] {
    const key = `${life} ${region} ${gone}`;
    let found = this.#clear.get(key);
    if (found === undefined) {
      found = this.seen.runs.flatMap((run) => {
        const span = spanOf(run.request);
        return span !== null && this.#isClear(run, span, life, region, gone) ? [span] : [];
      });
      this.#clear.set(key, found);
    }
    return found;
  }

  #isClear(
    run: ReconcileRun,
    { fromMs, toMs }: ClearRun,
    life: number,
    region: string,
    gone: boolean,
  ): boolean {
    const { answer } = run.request;
    if (typeof answer !== "object" || answer.status !== 200) return false;
    const hidden = this.callsOf(run).some((call) =>
      (call.life === null || call.life === life) && call.fault !== null ||
      call.omitted.includes(life) ||
      (gone ? call.silent.length > 0 : call.silent.includes(region)) ||
      LISTS.includes(call.action) && call.seen !== "200"
    );
    return !hidden && !this.isBusy(life, fromMs, toMs) && !this.hostWasAway(life, fromMs, toMs);
  }

  /** Whether a request of the life was under way. */
  isBusy(life: number, fromMs: number, toMs: number, except?: LifeRequest): boolean {
    return this.seen.requests.some((request) => {
      if (request.life !== life || request === except || request.atMs > toMs) return false;
      const { answer, atMs } = request;
      const endMs = typeof answer === "object" ? answer.atMs : atMs + LEASE_AFTER_DEATH_MS;
      return endMs >= fromMs;
    });
  }

  /** Whether the machine's host did not respond, or had no room. */
  hostWasAway(life: number, fromMs: number, toMs: number): boolean {
    return this.seen.deeds.some((deed) =>
      deed.life === life && (deed.what === "host" || deed.what === "no-room") &&
      deed.atMs <= toMs && deed.atMs + deed.forMs >= fromMs
    );
  }
}

/** From a request to its answer; null when there was none. */
export function spanOf({ atMs, answer }: LifeRequest): ClearRun | null {
  return typeof answer === "object" ? { fromMs: atMs, toMs: answer.atMs } : null;
}

/** The kinds that the machine was of between two moments, both included. */
export function kindsDuring({ periods }: TrueMachine, fromMs: number, toMs: number): Set<Kind> {
  return new Set(
    periods.filter((period) => period.fromMs <= toMs && period.toMs >= fromMs)
      .map(({ kind }) => kind),
  );
}
