/** The calls that nobody can do without, sent bare: what the function's own work is measured against. */
import { DATABASE_MS } from "./published.ts";
import { AUTHORIZATION, draw, type Scenario } from "./ready-world.ts";

const API = "https://api.machines.dev/v1";
const HEADERS = { ...AUTHORIZATION, "content-type": "application/json" };

/** One call to the database, a start, a wait: for each machine of the scenario's pool. */
export async function startBare(scenario: Scenario): Promise<number[]> {
  const { time, database } = scenario;
  const machines = await database.sql<{ app: string; id: string }>(
    time,
    "select fly_app_name as app, fly_machine_id as id from pooled_machines where state = 'ready'",
  );
  return await timeEach(scenario, machines, async ({ app, id }) => {
    const path = `${API}/apps/${app}/machines/${id}`;
    await expect200(
      scenario,
      new Request(`${path}/start`, { method: "POST", headers: HEADERS, body: "{}" }),
    );
    await expect200(
      scenario,
      new Request(`${path}/wait?state=started&timeout=60`, { headers: HEADERS }),
    );
  });
}

/** One call to the database, and nothing else. */
export async function claimBare(scenario: Scenario, count: number): Promise<number[]> {
  return await timeEach(scenario, Array(count).fill(null), () => Promise.resolve());
}

async function timeEach<T>(
  scenario: Scenario,
  items: T[],
  work: (item: T) => Promise<void>,
): Promise<number[]> {
  const { time } = scenario;
  const times: number[] = [];
  for (const item of items) {
    const startedAt = time.now();
    await time.run(callDatabase(scenario).then(() => work(item)));
    times.push(time.now() - startedAt);
  }
  return times;
}

async function expect200({ simulator }: Scenario, request: Request): Promise<void> {
  const response = await simulator.fetch(request);
  if (response.status !== 200) throw new Error(`${request.url}: ${await response.text()}`);
  await response.body?.cancel();
}

async function callDatabase({ time, random }: Scenario): Promise<void> {
  for (let way = 0; way < 2; way++) await time.sleep(draw(DATABASE_MS, random) / 2);
}
