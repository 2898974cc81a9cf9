/**
 * The whole system on a real Postgres: several function processes, a local Supabase and the Fly
 * simulator over HTTP, each of which can go away and come back.
 */
import {
  FlySimulator,
  type FlySimulatorOptions,
  seededRandom,
  type ServedFlySimulator,
  serveFlySimulator,
} from "../../dev/stack/fly/mod.ts";
import { type PostgresServer, startPostgres } from "../../dev/stack/postgres/mod.ts";
import {
  generateSigningKey,
  type LocalSupabase,
  mintUserToken,
  startSupabase,
} from "../../dev/stack/supabase/mod.ts";
import { CONNECT_SECRET, FLY_APP, FLY_TOKEN, IMAGE } from "../support/stack.ts";
import type { Call, CallIntent } from "../invariants/evidence.ts";
import { SecretFinder } from "../invariants/secrets.ts";
import type { SettledSystem } from "../invariants/settled-system.ts";
import { rememberPool } from "./pool-names.ts";
import { IsolateProcess } from "./isolate-process.ts";
import { eventually } from "./postgres-test.ts";
import { startReconnectingProxy } from "./reconnecting-proxy.ts";

export interface SystemOptions {
  seed?: number;
  isolates?: number;
  fly?: FlySimulatorOptions;
  env?: Record<string, string>;
}

/** A user who may provision: signed in with a token of the project's own signing key. */
export interface TestUser {
  id: string;
  accessToken: string;
}

/** Short, so that what a dead request left behind is soon due. */
export const PROVISION_TIMEOUT_SECONDS = 3;

export class System implements AsyncDisposable {
  /** Every call so far, whether an answer came or not. */
  readonly calls: Call[] = [];
  readonly users: TestUser[] = [];
  readonly deletedUsers: string[] = [];
  readonly isolates: IsolateProcess[];
  // A client that keeps connections would send a POST again on its own when one of them breaks.
  readonly #client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  #fly: ServedFlySimulator;
  #started = new AsyncDisposableStack();

  private constructor(
    readonly postgres: PostgresServer,
    readonly supabase: LocalSupabase,
    readonly simulator: FlySimulator,
    fly: ServedFlySimulator,
    private readonly signingKey: Awaited<ReturnType<typeof generateSigningKey>>,
    options: SystemOptions,
  ) {
    this.#fly = fly;
    const env = {
      SUPABASE_URL: supabase.url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: supabase.secretKey }),
      FLY_API_TOKEN: FLY_TOKEN,
      FLY_APP_NAME: FLY_APP,
      DOCKER_IMAGE: IMAGE,
      FLY_API_HOSTNAME: fly.url,
      CONNECT_TOKEN_SECRET: CONNECT_SECRET,
      PROVISION_TIMEOUT_SECONDS: String(PROVISION_TIMEOUT_SECONDS),
      FLY_REQUEST_TIMEOUT_SECONDS: "2",
      // The simulator sets no limit here, so that all of the load gets through.
      FLY_RATE_PER_SECOND: "1000",
      FLY_RATE_BURST: "1000",
      MAX_MACHINES: "1000000",
      MAX_PROVISIONS_PER_USER_PER_HOUR: "1000000",
      ...options.env,
    };
    this.isolates = Array.from(
      { length: options.isolates ?? 1 },
      () => new IsolateProcess(() => env),
    );
  }

  static async start(options: SystemOptions = {}): Promise<System> {
    // Whatever was started is stopped again should a later step fail.
    await using started = new AsyncDisposableStack();
    const signingKey = await generateSigningKey();
    const postgres = started.use(await startPostgres());
    const proxy = started.adopt(startReconnectingProxy(postgres.url), (proxy) => proxy.close());
    const supabase = started.adopt(
      await startSupabase({ databaseUrl: proxy.url, signingKeys: [signingKey.publicJwk] }),
      (supabase) => supabase.close(),
    );
    await rememberPool(supabase);
    const simulator = new FlySimulator({
      apps: [FLY_APP],
      tokens: [FLY_TOKEN],
      random: seededRandom(options.seed ?? 1),
      ...options.fly,
      settings: { startDelayMs: 20, rateLimits: null, ...options.fly?.settings },
    });
    const fly = await serveFlySimulator(simulator);
    const system = new System(postgres, supabase, simulator, fly, signingKey, options);
    started.defer(() => system.stopFly());
    started.defer(() => system.#stopIsolates());
    await Promise.all(system.isolates.map((isolate) => isolate.start()));
    system.#started = started.move();
    return system;
  }

  /** Signs up a user. The token's life is its own, so that no database is needed to check it. */
  async addUser(): Promise<TestUser> {
    const { id } = await this.supabase.createUser();
    const user = { id, accessToken: await mintUserToken({ userId: id, key: this.signingKey }) };
    this.users.push(user);
    return user;
  }

  /** Deletes an account; its token stays good until it expires. */
  async deleteUser(user: TestUser): Promise<void> {
    this.users.splice(this.users.indexOf(user), 1);
    this.deletedUsers.push(user.id);
    await this.supabase.sql("delete from auth.users where id = $1", [user.id]);
  }

  /** The simulated Fly.io cannot be reached; what exists there goes on existing. */
  async stopFly(): Promise<void> {
    await this.#fly.shutdown();
  }

  async startFly(): Promise<void> {
    this.#fly = await serveFlySimulator(this.simulator, { port: this.#fly.port });
  }

  /** Calls the function and keeps the call. `as` null: a service. Never rejects. */
  async call(isolate: IsolateProcess, as: TestUser | null, intent: CallIntent): Promise<Call> {
    const call: Call = { ...intent, startedAt: Date.now(), endedAt: null, answer: null };
    this.calls.push(call);
    const path = { provision: "", destroy: `/${intent.machineId}`, reconcile: "/reconcile" };
    try {
      const response = await fetch(`${isolate.url ?? "http://127.0.0.1:1"}${path[intent.kind]}`, {
        method: intent.kind === "destroy" ? "DELETE" : "POST",
        headers: {
          ...(as ? { authorization: `Bearer ${as.accessToken}` } : {
            apikey: this.supabase.secretKey,
          }),
          "content-type": "application/json",
          ...(intent.key ? { "idempotency-key": intent.key } : {}),
          ...(intent.async ? { prefer: "respond-async" } : {}),
        },
        ...(intent.body ? { body: JSON.stringify(intent.body) } : {}),
        ...(intent.leaveAfterMs ? { signal: AbortSignal.timeout(intent.leaveAfterMs) } : {}),
        client: this.#client,
      });
      const text = await response.text();
      call.endedAt = Date.now();
      call.answer = { status: response.status, headers: response.headers, text };
    } catch {
      // The process died, or the caller left: the caller knows nothing, which `answer` says.
    }
    return call;
  }

  /** One call after the other of `count`, spread over the isolates in turn. */
  spread<T>(count: number, call: (isolate: IsolateProcess, index: number) => T): T[] {
    return Array.from({ length: count }, (_, index) => {
      const isolate = this.isolates[index % this.isolates.length];
      if (isolate === undefined) throw new Error("there is no isolate");
      return call(isolate, index);
    });
  }

  /** Runs reconcile once and returns its answer's body. Throws when it does not answer 200. */
  async reconcile(isolate = this.isolates[0]): Promise<Record<string, number>> {
    if (isolate === undefined) throw new Error("there is no isolate");
    const { answer } = await this.call(isolate, null, { kind: "reconcile" });
    if (answer?.status !== 200) throw new Error(`reconcile: ${answer?.status} ${answer?.text}`);
    return JSON.parse(answer.text);
  }

  /**
   * Reconciles until there is nothing left to do. Leases, second lookups and sightings wait a minute; since
   * nothing is under way any more, they are made due instead of being waited for.
   */
  async settle(): Promise<void> {
    await eventually("calls to Fly.io end", () => this.simulator.callsInFlight === 0);
    let last: unknown;
    await eventually("reconcile has nothing left to do", async () => {
      await this.supabase.sql(
        "update cloud_machines set reconcile_at = now() where reconcile_at > now()",
      );
      await this.supabase.sql(
        "update fly_orphans set first_seen_at = first_seen_at - interval '1 minute'",
      );
      // One without an id is not being made any more: its maker died.
      await this.supabase.sql(
        `update pooled_machines set reconcile_at = now()
         where state = 'discarded' or (state = 'making' and fly_machine_id is null)`,
      );
      const { actions, requestId: _, ...counts } = await this.reconcile();
      last = actions;
      const open = await this.supabase.sql(
        `select from cloud_machines where reconcile_at is not null or status = 'provisioning'
         union all select from pooled_machines where state <> 'ready'`,
      );
      const running = await this.supabase.sql<{ machine_id: string }>(
        `select machine_id from cloud_machines where status = 'running'
         union all select machine_id from pooled_machines`,
      );
      return open.length === 0 && Object.values(counts).every((count) => count === 0) &&
        this.simulator.liveMachines().length === running.length &&
        this.#appsOfMachines().every((app) => running.some((row) => row.machine_id === app));
    }, 60_000).catch((error) => {
      throw new Error(`${error.message}; last actions: ${JSON.stringify(last)}`);
    });
  }

  /** Everything that the invariants speak of. */
  async state(): Promise<SettledSystem> {
    const all = async (table: string) =>
      (await this.supabase.sql<{ row: never }>(
        `select to_jsonb(t) as row from ${table} t order by created_at`,
      )).map(({ row }) => row);
    return {
      rows: await all("cloud_machines"),
      events: await all("machine_events"),
      machines: this.simulator.machines(),
      apps: this.#appsOfMachines(),
      pool: await all("pooled_machines"),
      pooledNames: (await this.supabase.sql<{ machine_id: string }>(
        "select machine_id from pool_names.names",
      )).map(({ machine_id }) => machine_id),
      calls: this.calls,
      deletedUsers: this.deletedUsers,
      lines: this.isolates.flatMap(({ lines }) => lines.map(({ line }) => line)),
      secrets: this.#secrets(),
    };
  }

  /** Reconciles until so many machines stand by. */
  async fillPool(size: number): Promise<void> {
    await eventually("the pool is full", async () => {
      await this.reconcile();
      const ready = await this.supabase.sql("select from pooled_machines where state = 'ready'");
      return ready.length >= size;
    }, 60_000);
  }

  /** What is not made within seconds has lost its maker; no run has minutes to find that out. */
  async forgetDeadMakers(): Promise<void> {
    await this.supabase.sql(
      `update pooled_machines set reconcile_at = now()
       where state = 'making' and created_at < now() - interval '8 seconds'`,
    );
  }

  /** How often the warm pool served a claim, by outcome. */
  async poolClaims(): Promise<Record<string, number>> {
    const counts = await this.supabase.sql<{ outcome: string; n: number }>(
      `select labels ->> 'outcome' as outcome, sum(value)::integer as n from metric_counters
       where metric = 'pool_claims' group by 1 order by 1`,
    );
    return Object.fromEntries(counts.map(({ outcome, n }) => [outcome, n]));
  }

  /** The apps that machines have of their own. */
  #appsOfMachines(): string[] {
    return this.simulator.world.apps().filter(({ deletion }) => deletion === undefined)
      .map(({ name }) => name).filter((name) => name !== FLY_APP);
  }

  #secrets(): SecretFinder {
    const secrets = new SecretFinder();
    secrets.add("FLY_API_TOKEN", FLY_TOKEN);
    secrets.add("CONNECT_TOKEN_SECRET", CONNECT_SECRET);
    secrets.add("the secret key", this.supabase.secretKey);
    secrets.add("the service_role key", this.supabase.serviceRoleKey);
    secrets.add("the JWT secret", this.supabase.jwtSecret);
    for (const { accessToken } of this.users) secrets.add("a user's token", accessToken);
    return secrets;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#started.disposeAsync();
    this.#client.close();
  }

  async #stopIsolates(): Promise<void> {
    await Promise.all(this.isolates.map((isolate) => isolate.stop()));
  }
}
