/** One Machine: its identity and its states in time. */
import { HEALTHY_HOST, type Host } from "./hosts.ts";
import { ulid } from "./identifiers.ts";
import type { MachineConfig } from "./machine-config.ts";
import type { Random } from "./random.ts";
import type {
  ExitEvent,
  Lease,
  MachineEvent,
  MachineRecord,
  MachineState,
  ReadDelays,
  Transition,
} from "./types.ts";

/** States in which nothing bills and from which nothing returns. */
const GONE: ReadonlySet<MachineState> = new Set(["destroying", "destroyed"]);

export interface MachineIdentity {
  readonly id: string;
  readonly name: string;
  readonly app: string;
  readonly region: string;
  readonly instanceId: string;
  readonly privateIp: string;
  readonly createdAtMs: number;
  /** How far reads of this Machine are behind. */
  readonly readDelays: ReadDelays;
  readonly config: MachineConfig;
}

/**
 * A Machine as a line of transitions in time. Its state at a time is the last transition up to then, so
 * nothing has to happen for a state to change and no timer runs: what will happen is already written
 * down, until a call replaces it.
 */
export class Machine {
  #lease: Lease | undefined;
  #host: Host = HEALTHY_HOST;
  /** Out of Fly Proxy's routing, by `cordon` or `skip_service_registration`. */
  cordoned = false;
  #identity: MachineIdentity;
  #timeline: Transition[] = [];
  #metadataChangedAtMs = 0;
  readonly #random: Random;
  #listeners = new Set<() => void>();

  constructor(identity: MachineIdentity, random: Random) {
    this.#identity = identity;
    this.#random = random;
  }

  /** The lease that was taken last; it may have ended. */
  get lease(): Lease | undefined {
    return this.#lease;
  }

  set lease(lease: Lease | undefined) {
    this.#lease = lease;
    this.#changed();
  }

  get host(): Host {
    return this.#host;
  }

  set host(host: Host) {
    this.#host = host;
    this.#changed();
  }

  get identity(): MachineIdentity {
    return this.#identity;
  }

  /** What happened up to `nowMs`, oldest first. */
  history(nowMs: number): Transition[] {
    return this.#timeline.filter((transition) => transition.at <= nowMs);
  }

  /** What is to happen after `nowMs`, oldest first. */
  scheduled(nowMs: number): Transition[] {
    return this.#timeline.filter((transition) => transition.at > nowMs);
  }

  state(nowMs: number): MachineState {
    return this.history(nowMs).at(-1)?.state ?? "creating";
  }

  /** When the Machine entered its state at `nowMs`. */
  since(nowMs: number): number {
    return this.history(nowMs).at(-1)?.at ?? this.identity.createdAtMs;
  }

  /** False from the moment it is being destroyed. */
  live(nowMs: number): boolean {
    return !GONE.has(this.state(nowMs));
  }

  updatedAtMs(nowMs: number): number {
    const changedAtMs = this.#metadataChangedAtMs;
    return Math.max(this.since(nowMs), changedAtMs <= nowMs ? changedAtMs : 0);
  }

  /** Newest first, as the API lists them. */
  events(nowMs: number): MachineEvent[] {
    return this.history(nowMs).flatMap(({ event }) => event ? [event] : []).reverse();
  }

  /** Drops what was scheduled after `nowMs` and schedules these transitions instead. */
  reschedule(nowMs: number, transitions: readonly Transition[]): void {
    this.#timeline = [...this.history(nowMs), ...transitions].sort((a, b) => a.at - b.at);
    this.#changed();
  }

  /** Keeps what is scheduled after `nowMs` and before `fromMs`, and replaces the rest. */
  rescheduleFrom(nowMs: number, fromMs: number, transitions: readonly Transition[]): void {
    const kept = this.scheduled(nowMs).filter((transition) => transition.at < fromMs);
    this.reschedule(nowMs, [...kept, ...transitions]);
  }

  setMetadata(nowMs: number, metadata: Record<string, string>): void {
    this.identity.config.metadata = metadata;
    this.#metadataChangedAtMs = nowMs;
    this.#changed();
  }

  /** Replaces the config as a whole; id, name and region stay for good. */
  setVersion(instanceId: string, config: MachineConfig): void {
    this.#identity = { ...this.#identity, instanceId, config };
    this.#changed();
  }

  /** Calls back at every change of plan. The returned function ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A transition with its entry for `events`. */
  transition(
    at: number,
    state: MachineState,
    event?: Pick<MachineEvent, "type" | "status" | "source"> & {
      exit?: Partial<ExitEvent>;
      restartCount?: number;
    },
  ): Transition {
    if (event === undefined) return { at, state };
    const { exit, restartCount = 0, ...rest } = event;
    const entry: MachineEvent = { id: ulid(at, this.#random), ...rest, timestamp: at };
    if (exit) entry.request = { exit_event: exitEvent(at, exit), restart_count: restartCount };
    return { at, state, event: entry };
  }

  record(nowMs: number): MachineRecord {
    const { id, name, app, region, instanceId, config, createdAtMs } = this.identity;
    return {
      id,
      name,
      app,
      region,
      instanceId,
      state: this.state(nowMs),
      live: this.live(nowMs),
      config: structuredClone(config),
      createdAtMs,
      history: structuredClone(this.history(nowMs)),
      scheduled: structuredClone(this.scheduled(nowMs)),
    };
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

function exitEvent(at: number, exit: Partial<ExitEvent>): ExitEvent {
  return {
    requested_stop: false,
    restarting: false,
    guest_exit_code: exit.exit_code ?? 0,
    guest_signal: -1,
    guest_error: "",
    exit_code: 0,
    signal: -1,
    error: "",
    oom_killed: false,
    exited_at: new Date(at).toISOString(),
    ...exit,
  };
}
