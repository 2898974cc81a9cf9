/**
 * Many callers at the same moment, in virtual time: the function's own code in several isolates, the
 * project's migrations on a real Postgres engine, and the simulator's rate limiter, which is Fly.io's.
 * Two minutes of waiting pass in seconds, and the same seed gives the same run.
 */
import {
  FLY_RATE_LIMITS,
  FlySimulator,
  type Random,
  type RateLimits,
  seededRandom,
} from "../../dev/stack/fly/mod.ts";
import {
  generateSigningKey,
  mintUserToken,
  type SigningKey,
} from "../../dev/stack/supabase/mod.ts";
import { CONNECTION_LOST, SimulatedIsolate } from "../../tests/model/simulated-isolate.ts";
import { ModelDatabase } from "../../tests/model/model-database.ts";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { trackCrypto } from "../../tests/model/track-crypto.ts";

export const APP = "burst-app";
const TOKEN = "fo1_burst00000000000000000000000000000000000";
/** Latency in one direction: a call takes 4 to 6 ms to the database, 40 to 60 ms to Fly.io. */
const ONE_WAY_MS = { database: [2, 3], fly: [20, 30] } as const;

export interface BurstOptions {
  /** The user and the time of each call, in the order of arrival. */
  calls: { user: number; atMs?: number }[];
  isolates?: number;
  seed?: number;
  /** From a machine's create to `started`. */
  startDelayMs?: number;
  /** Default: Fly.io's own. */
  rateLimits?: RateLimits;
  env?: Record<string, string>;
  /** Fly apps that exist. Default: the one that the function is configured for. */
  apps?: string[];
  /** Creates that another program sends to the same app, unpaced. */
  strangersAtMs?: number[];
}

/** The outcome of one call. Times are milliseconds from the beginning of the burst. */
export interface Outcome {
  user: number;
  status: number;
  code: string | null;
  retryAfterSeconds: number | null;
  sentAtMs: number;
  answeredAtMs: number;
  machineId: string | null;
}

export interface Burst {
  outcomes: Outcome[];
  /** Every create that reached Fly.io, ours and strangers', in order. */
  creates: { atMs: number; status: number; stranger: boolean }[];
  /** When the last answer was sent. */
  makespanMs: number;
  /** Creates that Fly.io refused for going too fast. */
  refused: number;
  simulator: FlySimulator;
}

/** The database and the users' tokens, which bursts share. */
export class BurstWorld implements AsyncDisposable {
  #time: VirtualClock | undefined;
  readonly #untrack = trackCrypto(() => this.#time);
  readonly #tokens = new Map<number, string>();

  private constructor(readonly database: ModelDatabase, private readonly key: SigningKey) {}

  static async open(): Promise<BurstWorld> {
    const key = await generateSigningKey();
    return new BurstWorld(await ModelDatabase.start(key), key);
  }

  async run(options: BurstOptions): Promise<Burst> {
    const time = new VirtualClock();
    const random = seededRandom(options.seed ?? 1);
    const users = [...new Set(options.calls.map(({ user }) => user))];
    await this.#prepare(users);
    const simulator = new FlySimulator({
      apps: options.apps ?? [APP],
      tokens: [TOKEN],
      clock: time,
      random,
      settings: {
        startDelayMs: options.startDelayMs ?? 1_000,
        latencyMs: { minMs: 2 * ONE_WAY_MS.fly[0], maxMs: 2 * ONE_WAY_MS.fly[1] },
        rateLimits: options.rateLimits ?? FLY_RATE_LIMITS,
      },
    });
    this.#time = time;
    // Refusals are logged; thirty of them would only hide the result.
    const { error } = console;
    Reflect.set(console, "error", () => {});
    try {
      return await this.#run(options, { time, random, simulator });
    } finally {
      Reflect.set(console, "error", error);
      this.#time = undefined;
    }
  }

  async #run(
    options: BurstOptions,
    { time, random, simulator }: { time: VirtualClock; random: Random; simulator: FlySimulator },
  ): Promise<Burst> {
    const startedAt = time.now();
    const isolates = Array.from(
      { length: options.isolates ?? 10 },
      (_, index) =>
        new SimulatedIsolate({
          name: `isolate ${index}`,
          env: { ...this.#environment(), ...options.env },
          time,
          random,
          carry: (_, request) => this.#carry(request, { time, random, simulator }),
        }),
    );
    const strangers = (options.strangersAtMs ?? []).map(async (atMs, index) => {
      await time.sleep(atMs);
      await simulator.fetch(strangersCreate(index));
    });
    const calls = options.calls.map(async ({ user, atMs = 0 }, index): Promise<Outcome> => {
      await time.sleep(atMs);
      const isolate = isolates[index % isolates.length];
      const response = await isolate?.fetch(
        new Request("http://function/provision-machine", {
          method: "POST",
          headers: { authorization: `Bearer ${this.#tokens.get(user)}` },
        }),
      );
      if (response === undefined || response === CONNECTION_LOST) throw new Error("no answer");
      const body = await response.json();
      const retryAfter = response.headers.get("retry-after");
      return {
        user,
        status: response.status,
        code: body.code ?? null,
        retryAfterSeconds: retryAfter === null ? null : Number(retryAfter),
        sentAtMs: atMs,
        answeredAtMs: time.now() - startedAt,
        machineId: body.machineId,
      };
    });
    let outcomes: Outcome[] | undefined;
    const all = Promise.all([Promise.all(calls), ...strangers]).then(([answers]) => {
      outcomes = answers;
    });
    if (!await time.runUntil(() => outcomes !== undefined, Infinity)) {
      await Promise.race([all, Promise.reject(new Error("the burst came to a standstill"))]);
    }
    await all;
    const creates = simulator.requests().filter(({ action }) => action === "create").map((
      record,
    ) => ({
      atMs: record.atMs - startedAt,
      status: record.status ?? 0,
      stranger: record.machineName?.startsWith("stranger") ?? false,
    }));
    return {
      outcomes: outcomes ?? [],
      creates,
      makespanMs: Math.max(...(outcomes ?? []).map(({ answeredAtMs }) => answeredAtMs)),
      refused: creates.filter(({ status, stranger }) => status === 429 && !stranger).length,
      simulator,
    };
  }

  async #prepare(users: number[]): Promise<void> {
    // A slot that was given back belongs to no row and would stay.
    await this.database.stack.sql("delete from public.fly_create_slots");
    await this.database.reset(users.map(userId));
    for (const user of users) {
      if (this.#tokens.has(user)) continue;
      // supabase-js compares the expiry to the real time.
      this.#tokens.set(
        user,
        await mintUserToken({ userId: userId(user), key: this.key, expiresInSeconds: 100_000 }),
      );
    }
  }

  #environment(): Record<string, string> {
    const { url, secretKey } = this.database.stack;
    return {
      SUPABASE_URL: url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: secretKey }),
      FLY_API_TOKEN: TOKEN,
      FLY_APP_NAME: APP,
      DOCKER_IMAGE: "registry.fly.io/burst-app:latest",
      // The platform's limit is 150 s, and a value has to be below it.
      PROVISION_TIMEOUT_SECONDS: "149",
      MAX_MACHINES_PER_USER: "1000",
      MAX_MACHINES: "1000",
      MAX_PROVISIONS_PER_USER_PER_HOUR: "1000",
      LOG_LEVEL: "error",
    };
  }

  /** The network between an isolate and its upstreams. */
  async #carry(
    request: Request,
    { time, random, simulator }: { time: VirtualClock; random: Random; simulator: FlySimulator },
  ): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname.startsWith("/v1/")) return await buffered(await simulator.fetch(request));
    // supabase-js keeps these for ten real minutes across clients.
    if (url.pathname.endsWith("/jwks.json")) {
      return await time.track(this.database.stack.fetch(request));
    }
    const [min, max] = ONE_WAY_MS.database;
    const oneWay = () => time.sleep(min + random() * (max - min));
    const body = await request.text();
    await oneWay();
    const arrived = new Request(request.url, {
      method: request.method,
      headers: request.headers,
      ...(body === "" ? {} : { body }),
    });
    const response = await time.track(this.database.perform(arrived, time).then(buffered));
    await oneWay();
    return response;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#untrack();
    await this.database.stack.close();
  }
}

function userId(user: number): string {
  return `00000000-0000-4000-8000-${String(user).padStart(12, "0")}`;
}

function strangersCreate(index: number): Request {
  return new Request(`https://api.machines.dev/v1/apps/${APP}/machines`, {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ name: `stranger-${index}`, region: "iad", config: { image: "i" } }),
  });
}

async function buffered(response: Response): Promise<Response> {
  const bytes = await response.arrayBuffer();
  return new Response(bytes.byteLength === 0 ? null : bytes, response);
}
