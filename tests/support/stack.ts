/**
 * The whole system for a test: a local Supabase, the Fly simulator over real HTTP and the function
 * as a real process between them. When it is stopped, the contract's invariants are checked on
 * everything that happened: see tests/invariants.
 */
import assert from "node:assert/strict";
import { type FlySimulatorOptions, serveFlySimulator } from "../../dev/stack/fly/mod.ts";
import type { ServedFlySimulator } from "../../dev/stack/fly/mod.ts";
import {
  type LocalSupabase,
  type LocalUser,
  startSupabase,
  type StartSupabaseOptions,
} from "../../dev/stack/supabase/mod.ts";
import type { MachineRow as CheckedRow } from "../invariants/evidence.ts";
import { SecretFinder } from "../invariants/secrets.ts";
import { RecordingFlySimulator } from "./recording-fly-simulator.ts";
import {
  type Answer,
  type CallOptions,
  type LogEvent,
  RunningFunction,
} from "./running-function.ts";
import { violationsAtRest } from "./violations-at-rest.ts";

export type { Answer, AnswerBody, CallOptions, LogEvent } from "./running-function.ts";

export const FLY_APP = "test-app";
/** As long as the token in the README's example of a log line. */
export const FLY_TOKEN = "fo1_0123456789abcdefghijklmnopqrstuvwxyz01";
export const CONNECT_SECRET = "the-secret-of-connect-tokens-in-tests-0";
export const IMAGE = "registry.fly.io/test-app:latest";

export interface StackOptions {
  supabase?: StartSupabaseOptions;
  fly?: FlySimulatorOptions;
  /** Added to the function's environment; undefined removes a variable. */
  env?: Record<string, string | undefined>;
}

/** The columns of `cloud_machines` that tests read. */
export interface MachineRow extends CheckedRow {
  fly_app_name: string | null;
  region: string;
  cpu_priority: string;
  request_hash: string;
  deadline_at: string;
  provisioned_at: string | null;
  missing_since: string | null;
  failed_since: string | null;
  stop_reason: string | null;
}

export interface MachineEventRow {
  request_id: string;
  kind: string;
  error_code: string | null;
  duration_ms: number | null;
  detail: Record<string, unknown>;
}

/** Starts everything; `await using` stops it, and throws if an invariant was broken. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const supabase = await startSupabase(options.supabase ?? {});
  const simulator = new RecordingFlySimulator({
    apps: [FLY_APP],
    tokens: [FLY_TOKEN],
    ...options.fly,
    settings: { startDelayMs: 20, rateLimits: null, ...options.fly?.settings },
  });
  const fly = await serveFlySimulator(simulator);
  const stack = new Stack(supabase, simulator, fly, options.env ?? {});
  try {
    await stack.restart();
  } catch (error) {
    await fly.shutdown();
    await supabase.close();
    throw error;
  }
  return stack;
}

export class Stack implements AsyncDisposable {
  readonly secrets = new SecretFinder();
  private current: RunningFunction | undefined;

  constructor(
    readonly supabase: LocalSupabase,
    readonly simulator: RecordingFlySimulator,
    readonly fly: ServedFlySimulator,
    private readonly env: Record<string, string | undefined>,
  ) {
    this.secrets.add("the secret key", supabase.secretKey);
    this.secrets.add("the service_role key", supabase.serviceRoleKey);
    this.secrets.add("the JWT secret", supabase.jwtSecret);
    this.secrets.add("FLY_API_TOKEN", FLY_TOKEN);
    simulator.onConnectKey = (key) => this.secrets.add("a machine's CONNECT_KEY", key);
  }

  /** The function that runs now. */
  get fn(): RunningFunction {
    assert.ok(this.current, "no function runs");
    return this.current;
  }

  /** The function's own address, with its path. */
  get url(): string {
    return `${this.fn.url}/provision-machine`;
  }

  /** The environment that the function is started with. */
  environment(env: Record<string, string | undefined> = {}): Record<string, string> {
    const { supabase, fly } = this;
    return defined({
      SUPABASE_URL: supabase.url,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: supabase.secretKey }),
      SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
      FLY_API_TOKEN: FLY_TOKEN,
      FLY_APP_NAME: FLY_APP,
      DOCKER_IMAGE: IMAGE,
      FLY_API_HOSTNAME: fly.url,
      CONNECT_TOKEN_SECRET: CONNECT_SECRET,
      // Pacing has tests of its own; elsewhere no request should wait for a turn.
      FLY_RATE_PER_SECOND: "1000",
      FLY_RATE_BURST: "1000",
      MAX_MACHINES: "1000000",
      MAX_PROVISIONS_PER_USER_PER_HOUR: "1000000",
      ...this.env,
      ...env,
    });
  }

  /** Starts one more function beside the current one, with the usual environment changed by `env`. */
  start(
    env: Record<string, string | undefined> = {},
    options: { entry?: URL } = {},
  ): Promise<RunningFunction> {
    return RunningFunction.start(this.environment(env), this.secrets, options);
  }

  /** Ends the function and starts it again; the gateway then leads to the new one. */
  async restart(
    env: Record<string, string | undefined> = {},
    options: { entry?: URL } = {},
  ): Promise<void> {
    const ended = this.current;
    this.current = undefined;
    await ended?.stop();
    this.current = await this.start(env, options);
    this.supabase.setFunction("provision-machine", this.current.url);
  }

  /** Calls the function as `user`, straight at its own address. */
  call(user: LocalUser | null, options?: CallOptions): Promise<Answer> {
    return this.fn.call(user, options);
  }

  /** Calls the function as a service. */
  callAsService(options: CallOptions = {}): Promise<Answer> {
    const headers = { apikey: this.supabase.secretKey, ...options.headers };
    return this.fn.call(null, { ...options, headers });
  }

  reconcile(body?: Record<string, string>): Promise<Answer> {
    return this.callAsService({ path: "/reconcile", ...(body === undefined ? {} : { body }) });
  }

  /** Every log event of a finished request, in order. */
  log(answer: Pick<Answer, "requestId">): Promise<LogEvent[]> {
    return this.fn.log(answer.requestId);
  }

  /** The row with this `machine_id`. */
  async row(machineId: string): Promise<MachineRow> {
    const [row] = await this.supabase.sql<MachineRow>(
      "select * from cloud_machines where machine_id = $1",
      [machineId],
    );
    assert.ok(row, `no row for ${machineId}`);
    return row;
  }

  rowsOf(user: { id: string }): Promise<MachineRow[]> {
    return this.supabase.sql<MachineRow>(
      "select * from cloud_machines where user_id = $1 order by created_at",
      [user.id],
    );
  }

  /** The history of a machine, oldest first. */
  historyOf(machineId: string): Promise<MachineEventRow[]> {
    return this.supabase.sql<MachineEventRow>(
      `select e.* from machine_events e join cloud_machines m on m.id = e.cloud_machine_id
       where m.machine_id = $1 order by e.id`,
      [machineId],
    );
  }

  /** Makes a row due for reconcile by moving its times into the past. */
  async makeDue(machineId: string): Promise<void> {
    const past = "now() - interval '1 second'";
    await this.supabase.sql(
      `update cloud_machines set deadline_at = ${past}, reconcile_at = ${past} where machine_id = $1`,
      [machineId],
    );
  }

  /** Makes every sighting so far old enough to be confirmed by the next one. */
  async ageSightings(): Promise<void> {
    await this.supabase.sql(
      `update cloud_machines set missing_since = missing_since - interval '2 minutes',
        failed_since = failed_since - interval '2 minutes'`,
    );
    await this.supabase.sql(
      "update fly_orphans set first_seen_at = first_seen_at - interval '2 minutes'",
    );
  }

  /** Makes every row old enough for reconcile to follow its machine's state. */
  async ageRows(): Promise<void> {
    // The trigger sets updated_at.
    await this.#withoutTrigger(
      "cloud_machines",
      "cloud_machines_before_update",
      "update cloud_machines set updated_at = updated_at - interval '1 minute'",
    );
  }

  /** Lets everything in the history have happened so much earlier. */
  async ageEvents(minutes: number): Promise<void> {
    await this.#withoutTrigger(
      "machine_events",
      "machine_events_are_append_only",
      `update machine_events set created_at = created_at - interval '${minutes} minutes'`,
    );
  }

  async #withoutTrigger(table: string, trigger: string, statement: string): Promise<void> {
    await this.supabase.sql(`
      do $$ begin
        alter table ${table} disable trigger ${trigger};
        ${statement};
        alter table ${table} enable trigger ${trigger};
      end $$
    `);
  }

  /** Fly.io's ids of the live machines that belong to the row of `machineId`. */
  liveMachines(machineId: string): string[] {
    return this.simulator.liveMachines().filter(({ name }) => name === machineId)
      .map(({ id }) => id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { supabase, fly } = this;
    try {
      await this.current?.stop();
      assert.deepEqual(await violationsAtRest(this), [], "the state that the tests left");
    } finally {
      await fly.shutdown();
      await supabase.close();
    }
  }
}

function defined(env: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
