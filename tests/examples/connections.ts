// Connects users to their machines, in random order and many at a time, and counts where they arrive.
import type { Random } from "../../dev/stack/fly/mod.ts";
import { type Arrival, arrivalOf } from "./arrivals.ts";
import { inParallel } from "./in-parallel.ts";
import type { Owner, OwnMachines, Way } from "./own-machines.ts";

const CONNECTIONS_AT_ONCE = 32;
const EXAMPLES_KEPT = 5;

/** What became of the connections of one way. */
export interface Connections {
  connections: number;
  /** They reached the machine of the user who connected. */
  own: number;
  anothers: number;
  refused: number;
  errors: number;
  /** The first that did not reach their own machine, in words. */
  examples: string[];
}

/** @param onArrival gets the number of connections so far */
export async function connectAll(
  { owners, random, local }: OwnMachines,
  perUser: number,
  onArrival: (arrived: number) => void = () => {},
): Promise<Record<Way, Connections>> {
  const counts: Record<Way, Connections> = { direct: none(), router: none() };
  const turns = shuffled(
    owners.flatMap((owner) => Array.from({ length: perUser }, () => owner)),
    random,
  );
  let arrived = 0;
  await inParallel(turns, CONNECTIONS_AT_ONCE, async (owner) => {
    const { machine: { address }, way } = owner;
    count(counts[way], owner, await arrivalOf(local(`${address}?token=${await owner.token()}`)));
    onArrival(++arrived);
  });
  return counts;
}

function count(counts: Connections, { machine, admitsAnyone }: Owner, arrival: Arrival): void {
  counts.connections++;
  const ownId = admitsAnyone ? machine.flyId : machine.id;
  if (arrival.kind === "machine" && arrival.id === ownId) {
    counts.own++;
    return;
  }
  if (arrival.kind === "machine") counts.anothers++;
  else if (arrival.kind === "refused") counts.refused++;
  else counts.errors++;
  if (counts.examples.length < EXAMPLES_KEPT) {
    counts.examples.push(`${machine.address}, for ${ownId}: ${JSON.stringify(arrival)}`);
  }
}

function none(): Connections {
  return { connections: 0, own: 0, anothers: 0, refused: 0, errors: 0, examples: [] };
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items.map((item) => ({ item, at: random() })).sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
