// Presents random bad tokens to both example servers, and counts which are accepted.
import { ExampleServer, MACHINE, ROUTER } from "./example-server.ts";
import { badQueries, type BadQuery } from "./fuzzed-tokens.ts";
import { type Answer, knock } from "./knock.ts";
import { claims, MACHINE_ID, sign } from "./tokens.ts";

/** A server that refuses every token would pass too, so good tokens are tried in between. */
const BAD_PER_GOOD = 50;

export interface FloodResult {
  door: "machine" | "router";
  bad: number;
  /** Queries of bad tokens that were accepted; there must be none. */
  admitted: string[];
  good: number;
  goodRefused: number;
  /** How often each status came. */
  statuses: Record<string, number>;
}

/** `count` bad tokens for the machine and as many for the router; the same ones for the same seed. */
export async function flood(count: number, seed: number): Promise<FloodResult[]> {
  await using machine = await ExampleServer.start(MACHINE);
  await using router = await ExampleServer.start(ROUTER);
  return [
    await present(
      badQueries(count, seed, { router: false }),
      "machine",
      (query) => knock(machine.port, `/${query}`),
      ({ status }) => status === 101,
    ),
    await present(
      badQueries(count, seed, { router: true }),
      "router",
      (query) => knock(router.port, `/${MACHINE_ID}${query}`),
      ({ status, headers }) => status === 101 || headers.has("fly-replay"),
    ),
  ];
}

async function present(
  queries: BadQuery[],
  door: FloodResult["door"],
  ask: (query: string) => Promise<Answer>,
  isIn: (answer: Answer) => boolean,
): Promise<FloodResult> {
  const result: FloodResult = {
    door,
    bad: 0,
    admitted: [],
    good: 0,
    goodRefused: 0,
    statuses: {},
  };
  for (const badQuery of queries) {
    const query = badQuery();
    const answer = await ask(query);
    result.bad++;
    result.statuses[answer.status] = (result.statuses[answer.status] ?? 0) + 1;
    if (isIn(answer)) result.admitted.push(query);
    if (result.bad % BAD_PER_GOOD !== 0) continue;
    result.good++;
    if (!isIn(await ask(`?token=${sign(claims())}`))) result.goodRefused++;
  }
  return result;
}
