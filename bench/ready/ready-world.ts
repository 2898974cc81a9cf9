/**
 * Users who want a machine, in virtual time: the function's own code, the project's migrations on a real
 * Postgres engine, reconcile every minute, and the simulator with Fly.io's limits and published times.
 */
import {
  FLY_RATE_LIMITS,
  FlySimulator,
  type Random,
  seededRandom,
} from "../../dev/stack/fly/mod.ts";
import { VirtualClock } from "../../dev/stack/clock.ts";
import {
  generateSigningKey,
  mintUserToken,
  type SigningKey,
} from "../../dev/stack/supabase/mod.ts";
import { ModelDatabase } from "../../tests/model/model-database.ts";
import { CONNECTION_LOST, SimulatedIsolate } from "../../tests/model/simulated-isolate.ts";
import { trackCrypto } from "../../tests/model/track-crypto.ts";
import { DATABASE_MS, FLY } from "./published.ts";

const TOKEN = "fo1_ready00000000000000000000000000000000000";
const MINUTE_MS = 60_000;
const ISOLATES = 10;

export interface ReadyOptions {
  /** When each user asks, in milliseconds from the beginning. */
  arrivalsMs: readonly number[];
  /** Null: no pool. `filled` false: there is one, and nothing in it. */
  pool: { size: number; state: "stopped" | "started"; filled?: boolean } | null;
  /** Each how many-th create stays in `created` for good. */
  stuckEvery?: number;
  env?: Record<string, string>;
  seed?: number;
}

export interface Outcome {
  status: number;
  /** From the request to its answer. */
  answeredMs: number;
  /** Whether its machine had been made before it was asked for. */
  pooled: boolean;
}

export interface Ready {
  outcomes: Outcome[];
  creates: number;
  /** Calls to the database that the requests made, reconcile's aside. */
  databaseCalls: number;
  /** Machine-seconds that machines stood by. */
  standbySeconds: number;
}

/** One scenario at its end, with all of its parts. */
export class Scenario {
  readonly time = new VirtualClock();
  readonly random: Random;
  readonly simulator: FlySimulator;
  readonly isolates: SimulatedIsolate[];
  databaseCalls = 0;
  standbySeconds = 0;
  #coldCreates = 0;

  constructor(
    readonly database: ModelDatabase,
    private readonly tokens: readonly string[],
    readonly options: ReadyOptions,
  ) {
    this.random = seededRandom(options.seed ?? 1);
    this.simulator = new FlySimulator({
      apps: ["ready"],
      tokens: [TOKEN],
      clock: this.time,
      random: this.random,
      settings: {
        startDelayMs: FLY.startMs,
        imageReadyMs: FLY.createMs,
        latencyMs: FLY.apiMs,
        rateLimits: FLY_RATE_LIMITS,
      },
    });
    this.isolates = Array.from({ length: ISOLATES }, (_, index) =>
      new SimulatedIsolate({
        name: `isolate ${index}`,
        env: this.#environment(),
        time: this.time,
        random: this.random,
        carry: (_isolate, request) => this.#carry(request),
      }));
  }

  /** Reconcile until the pool is full and ready. */
  async fill(): Promise<void> {
    const { pool } = this.options;
    if (pool === null || pool.filled === false) return;
    for (let runs = 0; await this.ready() < pool.size; runs++) {
      if (runs > pool.size) throw new Error("the pool does not fill");
      await this.time.run(this.#reconcile());
      this.time.jump(MINUTE_MS);
    }
    this.databaseCalls = 0;
    this.simulator.clearRequests();
  }

  async ready(): Promise<number> {
    const [found] = await this.database.sql<{ n: number }>(
      this.time,
      "select count(*)::integer as n from pooled_machines where state = 'ready'",
    );
    return found?.n ?? 0;
  }

  async run(): Promise<Ready> {
    const startedAt = this.time.now();
    const { arrivalsMs } = this.options;
    const asking = arrivalsMs.map((atMs, user) => this.#ask(atMs, user));
    let outcomes: Outcome[] | undefined;
    Promise.all(asking).then((all) => outcomes = all);
    const lastMs = Math.max(...arrivalsMs);
    if (lastMs >= MINUTE_MS) this.#reconcileUntil(startedAt + lastMs);
    if (!await this.time.runUntil(() => outcomes !== undefined, Infinity) || !outcomes) {
      throw new Error("the scenario came to a standstill");
    }
    const creates = this.simulator.requests()
      .filter(({ action, status }) => action === "create" && status === 200).length;
    const { databaseCalls, standbySeconds } = this;
    return { outcomes, creates, databaseCalls, standbySeconds };
  }

  async #ask(atMs: number, user: number): Promise<Outcome> {
    await this.time.sleep(atMs);
    const sentAt = this.time.now();
    const response = await this.isolates[user % ISOLATES]?.fetch(
      new Request("http://function/provision-machine", {
        method: "POST",
        headers: { authorization: `Bearer ${this.tokens[user]}` },
      }),
    );
    if (response === undefined || response === CONNECTION_LOST) throw new Error("no answer");
    const answeredMs = this.time.now() - sentAt;
    const { flyMachineId } = await response.json();
    const createdAt = this.simulator.machine(flyMachineId ?? "")?.createdAtMs ?? Infinity;
    return { status: response.status, answeredMs, pooled: createdAt < sentAt };
  }

  #reconcileUntil(endMs: number): void {
    const run = async () => {
      while (this.time.now() < endMs) {
        await this.#reconcile();
        this.standbySeconds += 60 * await this.time.track(this.ready());
        await this.time.sleep(MINUTE_MS);
      }
    };
    run();
  }

  async #reconcile(): Promise<void> {
    const response = await this.isolates[0]?.fetch(
      new Request("http://function/provision-machine/reconcile", {
        method: "POST",
        headers: { apikey: this.database.stack.secretKey },
      }),
    );
    if (response === undefined || response === CONNECTION_LOST || response.status !== 200) {
      throw new Error("reconcile failed");
    }
    await response.body?.cancel();
  }

  #environment(): Record<string, string> {
    const { url, secretKey } = this.database.stack;
    const { pool, env } = this.options;
    return {
      SUPABASE_URL: url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey }),
      FLY_API_TOKEN: TOKEN,
      FLY_APP_NAME: "ready",
      FLY_ORG_SLUG: "personal",
      // No address has to become known in DNS first.
      FLY_ROUTER_URL: "wss://router.example.com",
      DOCKER_IMAGE: "registry.fly.io/ready:latest",
      PROVISION_TIMEOUT_SECONDS: "149",
      MAX_MACHINES: "100000",
      LOG_LEVEL: "error",
      ...(pool === null ? {} : { POOL_SIZE: String(pool.size), POOL_STATE: pool.state }),
      ...env,
    };
  }

  /** The network between an isolate and its upstreams. */
  async #carry(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/v1/")) return await this.#carryToFly(request, url);
    // supabase-js keeps these for ten real minutes across clients.
    if (url.pathname.endsWith("/jwks.json")) {
      return await this.time.track(this.database.stack.fetch(request));
    }
    this.databaseCalls++;
    const body = await request.text();
    const oneWay = () => this.time.sleep(draw(DATABASE_MS, this.random) / 2);
    await oneWay();
    const arrived = new Request(request.url, {
      method: request.method,
      headers: request.headers,
      ...(body === "" ? {} : { body }),
    });
    const response = await this.time.track(
      this.database.perform(arrived, this.time).then(buffered),
    );
    await oneWay();
    return response;
  }

  /** A create takes longer than the start of a machine that is there. */
  async #carryToFly(request: Request, { pathname }: URL): Promise<Response> {
    if (request.method === "POST" && pathname.endsWith("/machines")) {
      const { name, skip_launch } = await request.clone().json();
      const stuck = skip_launch !== true && this.options.stuckEvery !== undefined &&
        ++this.#coldCreates % this.options.stuckEvery === 0;
      if (skip_launch !== true) {
        this.simulator.addFault({
          match: { action: "create", machineName: name },
          times: "always",
          do: stuck
            ? { kind: "never-starts", state: "created" }
            : { kind: "slow-start", ms: draw(FLY.createMs, this.random) },
        });
      }
      const response = await buffered(await this.simulator.fetch(request));
      this.simulator.clearFaults();
      return response;
    }
    return await buffered(await this.simulator.fetch(request));
  }
}

/** The database and the users' tokens, which scenarios share. */
export class ReadyWorld implements AsyncDisposable {
  #scenario: Scenario | undefined;
  readonly #untrack = trackCrypto(() => this.#scenario?.time);
  readonly #tokens: string[] = [];

  private constructor(readonly database: ModelDatabase, private readonly key: SigningKey) {}

  static async open(): Promise<ReadyWorld> {
    const key = await generateSigningKey();
    return new ReadyWorld(await ModelDatabase.start(key), key);
  }

  /** Runs a scenario, or whatever `work` does with it once its pool is full. */
  async run(options: ReadyOptions): Promise<Ready>;
  async run<T>(options: ReadyOptions, work: (scenario: Scenario) => Promise<T>): Promise<T>;
  async run<T>(
    options: ReadyOptions,
    work: (scenario: Scenario) => Promise<T | Ready> = (scenario) => scenario.run(),
  ): Promise<T | Ready> {
    const users = options.arrivalsMs.map((_, user) => userId(user));
    await this.database.reset(users);
    for (const id of users.slice(this.#tokens.length)) {
      // supabase-js compares the expiry to the real time.
      this.#tokens.push(
        await mintUserToken({ userId: id, key: this.key, expiresInSeconds: 1_000_000 }),
      );
    }
    const scenario = new Scenario(this.database, this.#tokens, options);
    this.#scenario = scenario;
    const { error } = console;
    Reflect.set(console, "error", () => {});
    try {
      await scenario.fill();
      return await work(scenario);
    } finally {
      Reflect.set(console, "error", error);
      this.#scenario = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#untrack();
    await this.database.stack.close();
  }
}

export const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` };

function userId(user: number): string {
  return `00000000-0000-4000-8000-${String(user).padStart(12, "0")}`;
}

export function draw({ minMs, maxMs }: { minMs: number; maxMs: number }, random: Random): number {
  return minMs + random() * (maxMs - minMs);
}

async function buffered(response: Response): Promise<Response> {
  const bytes = await response.arrayBuffer();
  return new Response(bytes.byteLength === 0 ? null : bytes, response);
}
