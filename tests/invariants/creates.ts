/** I3: at most one Fly machine per row, and one row per user and `Idempotency-Key`. */
import type { Call, Machine, MachineRow } from "./evidence.ts";

/** Two rows of one user with one key. */
export function duplicateRows(
  rows: readonly Pick<MachineRow, "machine_id" | "user_id" | "idempotency_key">[],
): string[] {
  const keyed = rows.filter(({ user_id, idempotency_key }) => user_id && idempotency_key);
  const byKey = Map.groupBy(
    keyed,
    ({ user_id, idempotency_key }) => `${idempotency_key} of user ${user_id}`,
  );
  return [...byKey].filter(([, own]) => own.length > 1).map(([key, own]) =>
    `I3: ${key} has several rows: ${own.map(({ machine_id }) => machine_id).join(", ")}`
  );
}

/**
 * When a row may have had a second machine. A create that its caller gave up long ago may land when the
 * first machine is destroyed and its name is free again; it cannot be called back, and reconcile
 * destroys what it made.
 */
export type SecondMachine =
  | "never"
  /** One after the other, and no longer once the row is running. */
  | "before-running"
  /** One after the other. */
  | "after-destruction";

/** Rows with more machines than they may have. A machine's name says whose it is; metadata may not. */
export function duplicateMachines(
  rows: readonly Pick<MachineRow, "machine_id" | "status">[],
  machines: readonly Machine[],
  second: SecondMachine,
): string[] {
  return rows.flatMap(({ machine_id, status }) => {
    const own = machines.filter(({ name }) => name === machine_id);
    const mayFollow = second === "after-destruction" ||
      (second === "before-running" && status !== "running");
    const tooMany = own.length > 1 && (!mayFollow || lifetimesOverlap(own));
    return tooMany ? [`I3: ${machine_id} had ${own.length} Fly machines`] : [];
  });
}

/** Machines that no row ever stood for. */
export function machinesWithoutRow(
  rows: readonly Pick<MachineRow, "machine_id">[],
  machines: readonly Machine[],
): string[] {
  return machines.filter(({ name }) => !rows.some(({ machine_id }) => machine_id === name))
    .map(({ name }) => `I3: ${name} never had a row`);
}

/** Answers to one key that name two machines. */
export function splitKeys(calls: readonly Call[]): string[] {
  const machineOfKey = new Map<string, string>();
  const found: string[] = [];
  for (const { userId, key, answer } of calls) {
    const { machineId, code } = JSON.parse(answer?.text ?? "{}");
    // The limit's answer names the machine that is in the way.
    if (!key || !machineId || code === "machine_limit_reached") continue;
    const name = `${userId} ${key}`;
    const first = machineOfKey.get(name) ?? machineId;
    machineOfKey.set(name, first);
    if (first !== machineId) found.push(`I3: key ${name} answered ${first} and ${machineId}`);
  }
  return found;
}

/** A call to Fly.io, in the order in which they were sent. */
export interface FlyCall {
  number: number;
  action: string;
  /** The machine's name, for a create. */
  subject: string | null;
  isolate: string;
  /** What the caller saw: a status, or how the call broke. */
  seen: string | null;
}

/**
 * After a create whose outcome is open, the next for the same name is sent only after a lookup. That
 * Fly.io refuses a second machine of a living name is the second line of defence.
 */
export function blindCreates(calls: readonly FlyCall[]): string[] {
  const found: string[] = [];
  const creates = calls.filter(({ action }) => action === "create");
  for (const [index, create] of creates.entries()) {
    const before = creates.slice(0, index).findLast(({ subject }) => subject === create.subject);
    if (before === undefined || isRefusal(before.seen)) continue;
    const lookedUp = calls.slice(before.number + 1, create.number).some((call) =>
      call.action === "list" && call.isolate === create.isolate
    );
    if (lookedUp) continue;
    found.push(`I3: ${create.subject} was created again without a lookup (${before.seen} before)`);
  }
  return found;
}

/** Whether the status that the caller saw says that nothing was created. */
function isRefusal(seen: string | null): boolean {
  const status = Number(seen?.slice(0, 3));
  // The body reports a lack of capacity, whatever the status; Fly.io was seen to use 503.
  return status >= 400 && status < 500 && status !== 408 || seen === "503";
}

function lifetimesOverlap(machines: readonly Machine[]): boolean {
  const lives = machines.map(({ history }) => ({
    from: history[0]?.at ?? 0,
    to: history.find(({ state }) => state === "destroyed")?.at ?? Infinity,
  })).toSorted((a, b) => a.from - b.from);
  return lives.some(({ to }, index) => to > (lives[index + 1]?.from ?? Infinity));
}
