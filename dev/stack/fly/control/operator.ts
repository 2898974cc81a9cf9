/** What happens to Machines behind the API's back: crashes, tampering, other clients, lost hosts. */
import { withChanges } from "../api/metadata-handlers.ts";
import { endProcess, type ProcessEnd } from "../world/exits.ts";
import type { Host } from "../world/hosts.ts";
import { takeLease } from "../world/leases.ts";
import { destroy } from "../world/lifecycle.ts";
import type { Machine } from "../world/machine.ts";
import type { MachineRecord } from "../world/types.ts";
import type { World } from "../world/world.ts";

/** A call to `/.fly/api` from inside a Machine, which needs no token. */
export interface Tampering {
  /** The Machine that makes the call, of the same app; by default the one that is changed. */
  by?: string | undefined;
  /** New values; null removes a key. */
  metadata: Readonly<Record<string, string | null>>;
}

/** Each method throws a RangeError when there is no such live Machine. */
export class Operator {
  constructor(private readonly world: World) {}

  /**
   * The Machine's process ends of its own accord; its restart policy says what follows.
   *
   * @throws {RangeError} also when the Machine is not `started`.
   */
  exit(idOrName: string, end: ProcessEnd = {}): MachineRecord {
    const machine = this.liveMachine(idOrName);
    const { world } = this;
    if (machine.state(world.now()) !== "started") {
      throw new RangeError(`machine "${idOrName}" is not started`);
    }
    endProcess(world, machine, end);
    return machine.record(world.now());
  }

  /**
   * Rewrites metadata from inside a Machine: its own, or that of another Machine of its app. Sources
   * differ on the latter; name, app and region cannot be changed from anywhere.
   *
   * @throws {RangeError} also when `by` is no live Machine of the same app.
   */
  tamper(idOrName: string, { by = idOrName, metadata }: Tampering): MachineRecord {
    const machine = this.liveMachine(idOrName);
    const { app } = this.liveMachine(by).identity;
    if (app !== machine.identity.app) throw new RangeError(`"${by}" is in another app`);
    const now = this.world.now();
    machine.setMetadata(now, withChanges(machine.identity.config.metadata ?? {}, metadata));
    return machine.record(now);
  }

  /** Changes what the Machine's host is like. What was `destroying` ends when it is `ok` again. */
  setHost(idOrName: string, host: Partial<Host>): MachineRecord {
    const machine = this.world.findMachine(idOrName);
    if (machine === undefined) throw new RangeError(`no machine "${idOrName}"`);
    machine.host = { ...machine.host, ...host };
    const now = this.world.now();
    const waits = machine.state(now) === "destroying" && machine.scheduled(now).length === 0;
    if (machine.host.status === "ok" && waits) {
      destroy(machine, now, this.world.draw(this.world.settings.destroyDelayMs));
    }
    return machine.record(now);
  }

  /** Another client takes a lease, for 30 seconds by default. */
  holdLease(idOrName: string, ttlSeconds = 30, owner = "another-client"): void {
    const machine = this.liveMachine(idOrName);
    takeLease(this.world, machine, { nonce: null, ttlSeconds, owner, description: "" });
  }

  /** The other client gives its lease back. */
  dropLease(idOrName: string): void {
    this.liveMachine(idOrName).lease = undefined;
  }

  /** The Machine with this id, or else the youngest with this name. */
  liveMachine(idOrName: string): Machine {
    const machine = this.world.findMachine(idOrName);
    if (machine === undefined || !machine.live(this.world.now())) {
      throw new RangeError(`no live machine "${idOrName}"`);
    }
    return machine;
  }
}
