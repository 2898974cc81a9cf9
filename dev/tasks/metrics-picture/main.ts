/**
 * `deno task metrics-picture`: a minute of load on the local stack, with faults at Fly.io, and what
 * GET /metrics said of it, as docs/images/metrics.svg.
 */
import { FlySimulator, serveFlySimulator } from "../../stack/fly/mod.ts";
import { startFunction } from "../../stack/function/mod.ts";
import { startSupabase } from "../../stack/supabase/mod.ts";
import { drawMetrics } from "./draw.ts";
import { parseScrape, type Scrape } from "./scrape.ts";

const PICTURE = new URL("../../../docs/images/metrics.svg", import.meta.url);
const SECONDS = 60;
const SCRAPE_EVERY_MS = 1_000;
const CALL_EVERY_MS = 350;
const APP = "picture-app";
const TOKEN = "token-of-the-local-simulator";
/** What goes wrong, from and to which second. */
const FAULTS = [
  { from: 12, to: 24, what: "image refused" },
  { from: 32, to: 44, what: "slow starts" },
  { from: 48, to: 56, what: "region full" },
] as const;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function main(): Promise<void> {
  await using parts = new AsyncDisposableStack();
  const supabase = parts.adopt(await startSupabase(), (started) => started.close());
  const simulator = new FlySimulator({
    apps: [APP],
    tokens: [TOKEN],
    settings: { startDelayMs: 700, rateLimits: null },
  });
  const fly = parts.adopt(await serveFlySimulator(simulator), (started) => started.shutdown());
  const fn = parts.adopt(
    await startFunction({
      env: {
        SUPABASE_URL: supabase.url,
        SUPABASE_SECRET_KEYS: JSON.stringify({ default: supabase.secretKey }),
        FLY_API_TOKEN: TOKEN,
        FLY_APP_NAME: APP,
        DOCKER_IMAGE: `registry.fly.io/${APP}:latest`,
        FLY_API_HOSTNAME: fly.url,
        FLY_RATE_PER_SECOND: "1000",
        FLY_RATE_BURST: "1000",
        MAX_MACHINES: "1000000",
        MAX_PROVISIONS_PER_USER_PER_HOUR: "1000000",
        MAX_MACHINES_PER_USER: "100000",
        PROVISION_TIMEOUT_SECONDS: "8",
      },
    }),
    async (started) => void await started.stop(),
  );
  const user = await supabase.createUser();
  const startedAt = performance.now();
  const elapsed = () => (performance.now() - startedAt) / 1_000;

  const calls: Promise<void>[] = [];
  const scrapes: Scrape[] = [];
  const scraping = (async () => {
    while (elapsed() < SECONDS) {
      const at = elapsed();
      scrapes.push(parseScrape(await read(fn.url, supabase.secretKey), at));
      await sleep(Math.max(0, SCRAPE_EVERY_MS - (elapsed() - at) * 1_000));
    }
  })();
  let current: string | undefined;
  while (elapsed() < SECONDS) {
    const fault = FAULTS.find(({ from, to }) => elapsed() >= from && elapsed() < to)?.what;
    if (fault !== current) arrange(simulator, current = fault);
    calls.push(provision(fn.url, user.accessToken));
    await sleep(CALL_EVERY_MS);
  }
  await scraping;
  await Promise.all(calls);
  await Deno.mkdir(new URL(".", PICTURE), { recursive: true });
  await Deno.writeTextFile(PICTURE, drawMetrics(scrapes, [...FAULTS]));
  await say(`${calls.length} requests, ${scrapes.length} scrapes: wrote ${PICTURE.pathname}`);
}

function arrange(simulator: FlySimulator, fault: string | undefined): void {
  simulator.clearFaults();
  simulator.setCapacity("iad", fault !== "region full");
  const match = { action: "create" } as const;
  if (fault === "image refused") {
    const body = { error: "invalid config.image: no such image" };
    simulator.addFault({ match, times: "always", do: { kind: "status", status: 422, body } });
  } else if (fault === "slow starts") {
    simulator.addFault({ match, times: "always", do: { kind: "slow-start", ms: 4_500 } });
  }
}

async function provision(url: string, accessToken: string): Promise<void> {
  const response = await fetch(`${url}/provision-machine`, {
    method: "POST",
    headers: { authorization: `Bearer ${accessToken}`, "content-type": "application/json" },
    body: "{}",
  });
  await response.body?.cancel();
}

async function read(url: string, secretKey: string): Promise<string> {
  const response = await fetch(`${url}/provision-machine/metrics`, {
    headers: { apikey: secretKey },
  });
  if (!response.ok) throw new Error(`/metrics answered ${response.status}`);
  return await response.text();
}

async function say(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(`${text}\n`));
}

await main();
