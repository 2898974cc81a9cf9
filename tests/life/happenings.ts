/** What happens at Fly.io without the function: exits, operators, Fly Proxy, hosts. */
import type { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { servicesOf } from "../../dev/stack/fly/proxy/services.ts";
import { FlyRefusal } from "../../dev/stack/fly/api/errors.ts";
import { stop } from "../../dev/stack/fly/world/lifecycle.ts";
import type { Machine } from "../../dev/stack/fly/world/machine.ts";
import { requestStart } from "../../dev/stack/fly/world/starting.ts";
import { suspendOrStop } from "../../dev/stack/fly/world/suspending.ts";
import type { VirtualClock } from "../../dev/stack/clock.ts";
import { NO_ROW } from "../model/foreign-machines.ts";
import { userId } from "../model/model-world.ts";
import type { Happening } from "./life.ts";

/** Something that Fly.io knows of a machine, and the function does not. */
export interface Deed {
  life: number;
  /** Of the machine; null when there was none. */
  flyMachineId: string | null;
  atMs: number;
  /** For how long it lasts; 0 for what is over at once. */
  forMs: number;
  what: string;
  /** Whether it changed something. */
  effect: boolean;
}

/** The part of a life that happens at Fly.io. */
export type FlyHappening = Exclude<
  Happening,
  { kind: "provision" | "ask" | "destroy" | "hide" | "faults" | "delete-user" }
>;

export class Happenings {
  readonly deeds: Deed[] = [];

  constructor(
    private readonly simulator: FlySimulator,
    private readonly time: VirtualClock,
    private readonly operatorToken: string,
  ) {}

  /** Lets it happen to the machine that the life has now, if there is one. */
  async happen(life: number, happening: FlyHappening): Promise<void> {
    const { time } = this;
    const machine = this.machineOf(life);
    const deed: Deed = {
      life,
      flyMachineId: machine?.identity.id ?? null,
      atMs: time.now(),
      forMs: "forMs" in happening ? happening.forMs : 0,
      what: happening.kind === "operator" || happening.kind === "proxy"
        ? `${happening.kind} ${happening.does}`
        : happening.kind,
      effect: false,
    };
    this.deeds.push(deed);
    if (machine === undefined) return;
    deed.effect = await this.#perform(machine, happening);
  }

  /** Every host responds and has room again. */
  healHosts(): void {
    for (const machine of this.simulator.world.machines()) {
      this.simulator.operator.setHost(machine.identity.id, { status: "ok", noRoom: null });
    }
  }

  /** The machine of a life that is not gone, or is on its way out. */
  machineOf(life: number): Machine | undefined {
    const { world } = this.simulator;
    const now = world.now();
    return world.machines().findLast((machine) =>
      machine.identity.config.env?.USER_ID === userId(life) && machine.state(now) !== "destroyed"
    );
  }

  async #perform(machine: Machine, happening: FlyHappening): Promise<boolean> {
    const { simulator, time } = this;
    const { id, name } = machine.identity;
    const state = machine.state(time.now());
    switch (happening.kind) {
      case "exit": {
        if (state !== "started") return false;
        simulator.operator.exit(id, happening);
        return true;
      }
      case "fail":
        if (!["started", "starting"].includes(state)) return false;
        simulator.failMachine(id, { state: "failed", exitCode: 1, reason: "the host failed" });
        return true;
      case "operator":
        return await this.#operate(machine, happening.does);
      case "proxy":
        return happening.does === "sleep" ? this.#sleep(machine) : this.#wake(machine);
      case "host": {
        const { destroys, forMs } = happening;
        simulator.operator.setHost(id, { status: "unreachable", destroys });
        time.after(forMs, () => simulator.operator.setHost(id, { status: "ok" }));
        return true;
      }
      case "no-room":
        simulator.operator.setHost(id, { noRoom: "memory" });
        time.after(happening.forMs, () => simulator.operator.setHost(id, { noRoom: null }));
        return true;
      case "next-start": {
        const { fails, afterMs } = happening;
        simulator.addFault({
          match: { action: "start", machineName: name },
          do: { kind: "fails", state: fails, afterMs: 1_000 + afterMs },
        });
        return true;
      }
      case "tamper":
        machine.setMetadata(time.now(), {
          managed_by: "provision-machine",
          supabase_project: "other.supabase.co",
          cloud_machine_id: NO_ROW,
        });
        return true;
    }
  }

  /** A call to the API with a token of the operator's; a refusal changes nothing. */
  async #operate(
    { identity: { app, id, name } }: Machine,
    does: Extract<Happening, { kind: "operator" }>["does"],
  ): Promise<boolean> {
    const path = `/v1/apps/${app}`;
    if (does === "delete-app") {
      // A shared app is not one life's.
      return app === name && await this.#call("DELETE", `${path}?force=true`);
    }
    return does === "destroy"
      ? await this.#call("DELETE", `${path}/machines/${id}?force=true`)
      : await this.#call("POST", `${path}/machines/${id}/${does}`);
  }

  async #call(method: string, path: string): Promise<boolean> {
    const leaving = new AbortController();
    // A host that is away may never answer.
    const cancel = this.time.after(20_000, () => leaving.abort());
    try {
      const response = await this.simulator.fetch(
        new Request(`https://api.machines.dev${path}`, {
          method,
          headers: { authorization: `Bearer ${this.operatorToken}` },
          signal: leaving.signal,
        }),
      );
      return response.ok;
    } catch (error) {
      if (leaving.signal.aborted) return false;
      throw error;
    } finally {
      cancel();
    }
  }

  /** As the proxy's autostop does with a machine that has no connections. */
  #sleep(machine: Machine): boolean {
    const { world } = this.simulator;
    const { autostop } =
      servicesOf(machine.identity.config).find(({ autostop }) => autostop !== "off") ?? {};
    if (autostop === undefined || machine.state(world.now()) !== "started") return false;
    if (machine.host.status !== "ok") return false;
    if (autostop === "stop") stop(machine, world.now(), world.draw(world.settings.stopDelayMs));
    else suspendOrStop(world, machine);
    return true;
  }

  /** As the proxy does when a connection comes for a machine that sleeps. */
  #wake(machine: Machine): boolean {
    const { world } = this.simulator;
    const wakes = servicesOf(machine.identity.config).some(({ autostart }) => autostart);
    if (!wakes || !["stopped", "suspended"].includes(machine.state(world.now()))) return false;
    try {
      requestStart(world, machine);
      return true;
    } catch (error) {
      if (!(error instanceof FlyRefusal)) throw error;
      return false;
    }
  }
}
