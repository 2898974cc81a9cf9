/** Which started Machines the proxy knows of. */
import { draw } from "../control/settings.ts";
import type { Machine } from "../world/machine.ts";
import type { World } from "../world/world.ts";
import type { ProxySettings } from "./settings.ts";

/**
 * The proxies learn of states by gossip, so a Machine that has just started is unknown for a moment
 * (https://fly.io/docs/reference/fly-proxy-autostop-autostart/). One that the proxy is about to stop
 * is cordoned.
 */
export class Sightings {
  readonly #delays = new WeakMap<Machine, { since: number; ms: number }>();
  readonly #cordoned = new WeakSet<Machine>();

  constructor(private readonly world: World, private readonly settings: () => ProxySettings) {}

  /** Whether requests may be sent to the Machine. */
  routable(machine: Machine): boolean {
    const now = this.world.now();
    if (machine.state(now) !== "started" || this.#cordoned.has(machine)) return false;
    // Whether the proxy still reaches a host that the API does not is not published.
    if (machine.host.status !== "ok") return false;
    return now >= machine.since(now) + this.#delay(machine, machine.since(now));
  }

  /** The proxy started it itself: there is nothing to learn. */
  noticeStart(machine: Machine): void {
    const since = machine.since(this.world.now());
    this.#delays.set(machine, { since, ms: 0 });
    this.#cordoned.delete(machine);
  }

  /** No new requests until it is started again. */
  cordon(machine: Machine): void {
    this.#cordoned.add(machine);
    const forget = machine.onChange(() => {
      if (machine.state(this.world.now()) !== "starting") return;
      this.#cordoned.delete(machine);
      forget();
    });
  }

  #delay(machine: Machine, since: number): number {
    const known = this.#delays.get(machine);
    if (known?.since === since) return known.ms;
    const ms = draw(this.settings().unknownAfterStartMs, this.world.random);
    this.#delays.set(machine, { since, ms });
    return ms;
  }
}
