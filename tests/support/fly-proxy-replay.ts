/** Requests that a machine of the hostile image has replayed. */
import { answering, type Passed, type ProxyWorld, type Scripted } from "./fly-proxy.ts";

/** Two apps, for replays from one to the other. */
export const TWO_APPS = { simulator: { apps: ["demo", "other"] } };

/** Lets the machine `id` answer so, and returns what came of it. */
export function replayBy(
  world: ProxyWorld,
  id: string,
  answer: Scripted,
  { query = "", ...init }: RequestInit & { query?: string } = {},
): Promise<Passed> {
  return world.request("demo", `/path?${answering({ [id]: answer })}${query}`, init);
}

/** With the header form. */
export function replayByHeader(
  world: ProxyWorld,
  id: string,
  value: string,
  init?: RequestInit,
): Promise<Passed> {
  return replayBy(world, id, { headers: { "fly-replay": value } }, init);
}

/** The code that explains why a request failed. */
export function lastCode({ proxy }: ProxyWorld): string | undefined {
  return proxy.log.at(-1)?.code;
}
