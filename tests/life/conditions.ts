/** What is wrong at the moment: with the world, and with a life's machine. */
import type { VirtualClock } from "../../dev/stack/clock.ts";
import type { ScheduledFault } from "../model/draw-faults.ts";
import type { Upstream } from "../model/bad-answers.ts";
import { Dice } from "./dice.ts";
import type { Happening, Weather } from "./life.ts";

type Hide = Extract<Happening, { kind: "hide" }> & { untilMs: number };

const NONE: ScheduledFault = { kind: "none" };
const DOWN = {
  "503": { kind: "status", status: 503, effect: false, retryAfterSeconds: null, body: "html" },
  "401": { kind: "status", status: 401, effect: false, retryAfterSeconds: null, body: "json" },
  reset: { kind: "reset", when: "before" },
  hang: { kind: "hang", when: "before" },
} as const satisfies Record<string, ScheduledFault>;

export class Conditions {
  /** From now on all is well. */
  calm = false;
  readonly #dice: Dice;
  readonly #hides = new Map<number, Hide>();
  readonly #lifeFaults = new Map<string, ScheduledFault[]>();
  readonly #weatherFaults: { fromMs: number; upstream: Upstream; left: ScheduledFault[] }[];

  constructor(
    private readonly time: VirtualClock,
    private readonly weather: readonly Weather[],
    private readonly startMs: number,
    seed: number,
  ) {
    this.#dice = new Dice(seed);
    this.#weatherFaults = weather.flatMap((condition) =>
      condition.kind === "reconcile-faults"
        ? [{
          fromMs: startMs + condition.atMs,
          upstream: condition.upstream,
          left: [...condition.faults],
        }]
        : []
    );
  }

  hide(life: number, hide: Extract<Happening, { kind: "hide" }>): void {
    this.#hides.set(life, { ...hide, untilMs: this.time.now() + hide.forMs });
  }

  /** The next calls of the life to this upstream meet these. */
  addFaults(life: number, upstream: Upstream, faults: readonly ScheduledFault[]): void {
    this.#lifeFaults.set(`${life} ${upstream}`, [...faults]);
  }

  /** Lives whose machines a list that is read now does not show. */
  missingFromList(): number[] {
    return [...this.#hides].filter(([life]) => this.#draws(life)).map(([life]) => life);
  }

  /** Whether a call about this machine is answered as if there were none. */
  isMissed(life: number): boolean {
    return this.#hides.get(life)?.from === "everything" && this.#draws(life);
  }

  /** The fault that the call meets; each is met once. */
  faultOf(
    { upstream, life, run }: { upstream: Upstream; life: number | null; run: number | null },
  ): ScheduledFault {
    if (this.calm) return NONE;
    const down = this.#down(upstream);
    if (down !== null) return down;
    if (life !== null) return this.#lifeFaults.get(`${life} ${upstream}`)?.shift() ?? NONE;
    if (run === null) return NONE;
    const due = this.#weatherFaults.find(({ fromMs, upstream: about, left }) =>
      about === upstream && left.length > 0 && fromMs <= this.time.now()
    );
    return due?.left.shift() ?? NONE;
  }

  #down(upstream: Upstream): ScheduledFault | null {
    const now = this.time.now() - this.startMs;
    for (const condition of this.weather) {
      if (now < condition.atMs || now >= condition.atMs + condition.forMs) continue;
      if (condition.kind === "fly-down" && upstream === "fly") return DOWN[condition.how];
      if (condition.kind === "database-down" && upstream === "database") return DOWN["503"];
    }
    return null;
  }

  #draws(life: number): boolean {
    const hide = this.#hides.get(life);
    return !this.calm && hide !== undefined && this.time.now() < hide.untilMs &&
      this.#dice.chance(hide.chance);
  }
}
