/**
 * Which Machine gets a request: https://fly.io/docs/reference/load-balancing/. The path is never
 * looked at.
 */
import type { Machine } from "../world/machine.ts";
import type { App } from "../world/world.ts";
import type { ProxyContext } from "./context.ts";
import { ProxyError } from "./proxy-error.ts";
import { inRegion } from "../world/region-groups.ts";
import { type Service, serviceAt } from "./services.ts";

/** What a request, or a replay of it, asks for. */
export interface Wanted {
  app: App;
  /** The public port that it came in on. */
  port: number;
  /** This Machine's id or an error. */
  instance?: string | undefined;
  /** This Machine's id if it can be had. */
  preferredInstance?: string | undefined;
  /** In order of preference. */
  regions?: readonly string[] | undefined;
  /** No other region may serve it. */
  regionsOnly?: boolean | undefined;
  /** Ids of Machines that are out of the question. */
  excluded: ReadonlySet<string>;
}

export interface Candidate {
  machine: Machine;
  service: Service;
}

export interface Found extends Candidate {
  /** The preferred Machine that could not be had. */
  missed: string | null;
}

/**
 * @throws {ProxyError} when no Machine can take it.
 */
export async function findMachine(
  context: ProxyContext,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Found> {
  const { instance, preferredInstance } = wanted;
  const all = candidates(context, wanted);
  if (instance !== undefined) {
    const one = all.filter(({ machine }) => machine.identity.id === instance);
    return { ...await chooseOrWake(context, one, wanted, signal), missed: null };
  }
  if (preferredInstance !== undefined) {
    const one = all.filter(({ machine }) => machine.identity.id === preferredInstance);
    const free = routable(context, one)[0];
    if (free) return { ...free, missed: null };
  }
  const missed = preferredInstance ?? null;
  return { ...await chooseOrWake(context, inOrder(all, wanted), wanted, signal), missed };
}

/** The app's Machines with a service on the port. */
function candidates({ world }: ProxyContext, { app, port, excluded }: Wanted): Candidate[] {
  const now = world.now();
  return world.machines(app.name).flatMap((machine) => {
    const service = serviceAt(machine.identity.config, port)?.service;
    const possible = machine.live(now) && !machine.cordoned && !excluded.has(machine.identity.id);
    return service && possible ? [{ machine, service }] : [];
  });
}

/** Those in the first of the wanted regions that has any; all when no region is wanted. */
function inOrder(all: Candidate[], { regions, regionsOnly }: Wanted): Candidate[] {
  if (regions === undefined) return all;
  for (const name of regions) {
    const there = all.filter(({ machine }) => inRegion(machine.identity.region, name));
    if (there.length > 0) return there;
  }
  return regionsOnly ? [] : all;
}

async function chooseOrWake(
  context: ProxyContext,
  all: Candidate[],
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Candidate> {
  for (;;) {
    const free = choose(context, routable(context, all));
    if (free && isBelowSoftLimit(context, free)) return free;
    const sleeping = chooseSleeping(context, all, wanted);
    if (sleeping) {
      await context.wakes.wake(sleeping.machine);
      return sleeping;
    }
    if (free) return free;
    const full = all.some(({ machine }) => context.sightings.routable(machine));
    if (!full) throw noMachine(wanted);
    await queue(context, signal);
  }
}

function routable({ sightings, connections }: ProxyContext, all: Candidate[]): Candidate[] {
  return all.filter(({ machine, service }) =>
    sightings.routable(machine) &&
    connections.load(machine.identity.id) < service.concurrency.hard_limit
  );
}

function isBelowSoftLimit({ connections }: ProxyContext, { machine, service }: Candidate): boolean {
  return connections.load(machine.identity.id) < service.concurrency.soft_limit;
}

/** In the edge's own region if any can take it; below the soft limit first; then the least loaded. */
function choose(context: ProxyContext, free: Candidate[]): Candidate | undefined {
  const { connections, world } = context;
  const near = nearest(context, free);
  const idle = near.filter((candidate) => isBelowSoftLimit(context, candidate));
  const pool = idle.length > 0 ? idle : near;
  const load = ({ machine }: Candidate) => connections.load(machine.identity.id);
  const least = Math.min(...pool.map(load));
  const equals = pool.filter((candidate) => load(candidate) === least);
  return equals[Math.floor(world.random() * equals.length)];
}

/** Distances between regions are not modelled: beyond the edge's own, all are equally far. */
function nearest({ settings }: ProxyContext, all: Candidate[]): Candidate[] {
  const { edgeRegion } = settings();
  const local = all.filter(({ machine }) => machine.identity.region === edgeRegion);
  return local.length > 0 ? local : all;
}

function chooseSleeping(
  context: ProxyContext,
  all: Candidate[],
  wanted: Wanted,
): Candidate | undefined {
  const { wakes, world } = context;
  const asleep = nearest(context, all.filter(({ machine }) => wakes.canWake(machine)));
  const onlyOne = world.machines(wanted.app.name).filter((machine) => machine.live(world.now()))
    .length === 1;
  const targeted = wanted.instance !== undefined || onlyOne;
  const wakeable = asleep.filter(({ service }) =>
    service.autostart || (targeted && wakesAnyway(context))
  );
  return wakeable[Math.floor(world.random() * wakeable.length)];
}

/** `autostart: false` is no lock (Kilo-Org/cloud#3219, #3376). */
function wakesAnyway({ settings, world }: ProxyContext): boolean {
  const { wakesWithoutAutostart } = settings();
  return wakesWithoutAutostart === "always" ||
    (wakesWithoutAutostart === "sometimes" && world.random() < 0.5);
}

/** All are at their hard limit: the request waits until a connection ends. */
async function queue({ connections, world, settings }: ProxyContext, signal: AbortSignal) {
  const ended = new AbortController();
  const either = AbortSignal.any([ended.signal, signal]);
  const tooLate = world.clock.sleep(settings().queueTimeoutMs, either).then(
    () => true,
    () => false,
  );
  const room = connections.nextEnd(either).then(() => false);
  const late = await Promise.race([tooLate, room]);
  ended.abort();
  await Promise.all([tooLate, room]);
  if (late) throw new ProxyError("PR04", 503, "every machine is at its hard limit");
  signal.throwIfAborted();
}

function noMachine({ instance, app }: Wanted): ProxyError {
  return instance === undefined
    ? new ProxyError("PR04", 503, `no machine of ${app.name} can take the request`)
    : new ProxyError("PR02", 503, `machine ${instance} cannot be reached`, instance);
}
