/**
 * One provisioning in virtual time, whose upstreams answer from a script: what the steps of
 * `provision/` do after each answer, without a stack.
 */
import assert from "node:assert/strict";
import { VirtualClock } from "../../dev/stack/clock.ts";
import { DatabaseCaller } from "../../supabase/functions/provision-machine/database/caller.ts";
import { Claims } from "../../supabase/functions/provision-machine/database/claims.ts";
import { Machines } from "../../supabase/functions/provision-machine/database/machines.ts";
import { FlyClient } from "../../supabase/functions/provision-machine/fly/client.ts";
import { chooseHosting } from "../../supabase/functions/provision-machine/hosting/choose-hosting.ts";
import { Measurements } from "../../supabase/functions/provision-machine/logging/measurements.ts";
import { Redactor } from "../../supabase/functions/provision-machine/logging/redactor.ts";
import { RequestLog } from "../../supabase/functions/provision-machine/logging/request-log.ts";
import type {
  Progress,
  ProvisionContext,
  ProvisionInput,
} from "../../supabase/functions/provision-machine/provision/context.ts";
import {
  platformRuntime,
  type Runtime,
} from "../../supabase/functions/provision-machine/runtime.ts";
import { Deadline } from "../../supabase/functions/provision-machine/time.ts";
import { type CapturedLog, captureLog } from "./captured-log.ts";

const FLY_URL = "https://api.machines.dev";
const SUPABASE_URL = "https://project.supabase.co";
const TAGS = { managed_by: "provision-machine", cloud_machine_id: "row-1" };
/** The time for creating and starting; closing the row may take `CLOSE_MS` more. */
export const WORK_MS = 100_000;
const CLOSE_MS = 10_000;

/** This row's machine, as Fly.io shows it. */
export const OWN = {
  id: "4d891ff0a23e87",
  name: "machine-1",
  state: "created",
  region: "iad",
};

export const ROW = {
  id: "row-1",
  user_id: "user-1",
  machine_id: "machine-1",
  fly_machine_id: null,
  fly_app_name: "my-app",
  create_bucket: "my-app",
  region: "iad",
  websocket_url: "wss://my-app.fly.dev/machines/machine-1",
  destroy_requested_at: null,
  error_code: null,
  error_message: null,
  status: "provisioning",
} as const;

/** What an upstream does when it is called. */
export type Answer = (signal: AbortSignal | undefined, clock: VirtualClock) => Promise<Response>;

/** Answers with JSON, or with a text as it is. */
export const says = (
  status: number,
  body: unknown = {},
  headers: Record<string, string> = {},
): Answer =>
() =>
  Promise.resolve(
    new Response(typeof body === "string" ? body : JSON.stringify(body), {
      status,
      headers: { "fly-request-id": "01JNRQ9VVKJ7HZFMJWJB3M3RYN-yyz", ...headers },
    }),
  );

/** The connection breaks before an answer: whether the call took effect is unknown. */
export const lost: Answer = (): Promise<Response> =>
  Promise.reject(new TypeError("connection reset"));

/** The status arrives, the body does not. */
export const broken: Answer = (): Promise<Response> => {
  const body = new ReadableStream({ start: (controller) => controller.error(new Error("reset")) });
  return Promise.resolve(new Response(body, { status: 200 }));
};

/** The row once its machine is seen started. */
export const RUNNING = {
  ...ROW,
  status: "running",
  fly_machine_id: OWN.id,
  missing_since: null,
  failed_since: null,
};

/** No answer until the caller leaves. */
export const silent: Answer = (signal: AbortSignal | undefined): Promise<Response> =>
  new Promise((_, reject) =>
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true })
  );

/** An answer after so many milliseconds. */
export const after = (ms: number, answer: Answer): Answer => async (signal, clock) => {
  await clock.sleep(ms, signal);
  return await answer(signal, clock);
};

/**
 * Answers by call: `create`, `list`, `get`, `wait` and `delete` of Fly.io's machines, `create-app`,
 * `get-app`, `delete-app`, `addresses` and `assign` of its apps, the name of a Postgres function, or
 * `webhook` for any other address. The last answer of a list is given again and again.
 */
export type Script = Record<string, Answer | Answer[]>;

export interface Provisioning {
  clock: VirtualClock;
  database: DatabaseCaller;
  context: ProvisionContext;
  input: ProvisionInput;
  progress: Progress;
  /** What the upstreams were asked, in order: `create iad`, `list`, `take_create_slot`. */
  calls: string[];
  /** Arguments of the Postgres functions, in order. */
  arguments: Record<string, unknown>[];
  log: Pick<CapturedLog, "records" | "lines">;
  /** Milliseconds since the provisioning began. */
  elapsedMs(): number;
  /**
   * Runs one step to its end.
   *
   * @throws {AssertionError} when an upstream was called that the script does not know
   */
  run<T>(step: () => Promise<T>): Promise<T>;
}

/** @param regions where the machine may be created, the one that was asked for first */
export function scriptProvisioning(
  script: Script,
  regions: readonly [string, ...string[]] = ["iad"],
): Provisioning {
  const clock = new VirtualClock();
  const startedAt = clock.now();
  const calls: string[] = [];
  const rpcArguments: Record<string, unknown>[] = [];
  const unexpected: string[] = [];
  const runtime: Runtime = {
    ...platformRuntime,
    clock,
    // Back-off is half of its ceiling, so that times can be foretold.
    random: () => 0.5,
    fetch: async (input, init) => {
      const request = new Request(input, init);
      const { name, detail, body } = await describe(request);
      calls.push(detail === "" ? name : `${name} ${detail}`);
      if (request.url.startsWith(SUPABASE_URL)) rpcArguments.push(body);
      const answers = script[name];
      const answer = Array.isArray(answers)
        ? answers[
          Math.min(calls.filter((call) => call.split(" ")[0] === name).length, answers.length) - 1
        ]
        : answers;
      if (answer !== undefined) return await answer(init?.signal ?? undefined, clock);
      unexpected.push(name);
      throw new TypeError(`unexpected: ${name}`);
    },
  };
  const log = captureLog();
  const redactor = new Redactor();
  const platform = {
    url: SUPABASE_URL,
    serviceKeys: ["sb_secret_test"],
    legacyKey: null,
    projectHost: null,
  } as const;
  const database = new DatabaseCaller(platform, runtime);
  const context: ProvisionContext = {
    runtime,
    fly: new FlyClient({
      runtime,
      baseUrl: FLY_URL,
      token: "fo1_test",
      requestTimeoutMs: 30_000,
      redact: (text) => redactor.redact(text),
    }),
    hosting: chooseHosting({ FLY_APP_NAME: [ROW.fly_app_name] }),
    claims: new Claims(database),
    machines: new Machines(database),
    log: new RequestLog(log.logger, clock, "request-1"),
    redactor,
    measurements: new Measurements(clock),
    requestId: "request-1",
    startedAt,
    workDeadline: Deadline.after(clock, WORK_MS),
    closeDeadline: Deadline.after(clock, WORK_MS + CLOSE_MS),
  };
  const body: ProvisionInput["body"] = {
    name: ROW.machine_id,
    region: regions[0],
    config: {
      image: "image:1",
      guest: { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
      env: {},
      services: [],
      restart: { policy: "on-failure", max_retries: 3 },
      auto_destroy: false,
      metadata: TAGS,
    },
  };
  return {
    clock,
    database,
    context,
    input: {
      row: ROW,
      inputFor: () => Promise.reject(new Error("no script renames the row")),
      slotWaitMs: 0,
      rate: { perSecond: 1, burst: 3 },
      body,
      loggableBody: { ...body, region: "unknown", config: { ...body.config, image: "logged" } },
      regions,
    },
    progress: { machine: undefined, mayExist: false, appMayExist: false },
    calls,
    arguments: rpcArguments,
    log,
    elapsedMs: () => clock.now() - startedAt,
    run: async (step) => {
      try {
        return await clock.run(step());
      } finally {
        assert.deepEqual(unexpected, [], "calls that the script does not know");
      }
    },
  };
}

interface Call {
  name: string;
  /** What distinguishes calls of one name: the region, the machine, the seconds to wait. */
  detail: string;
  body: Record<string, unknown>;
}

async function describe(request: Request): Promise<Call> {
  const { pathname, searchParams } = new URL(request.url);
  const text = await request.text();
  const body: Record<string, unknown> = text === "" ? {} : JSON.parse(text);
  const rpc = pathname.match(/\/rest\/v1\/rpc\/(\w+)$/)?.[1];
  if (rpc !== undefined) return { name: rpc, detail: "", body };
  if (!request.url.startsWith(FLY_URL)) return { name: "webhook", detail: "", body };
  const [, app, addresses] = pathname.match(/\/apps(?:\/([^/]+)(\/ip_assignments)?)?$/) ?? [];
  if (addresses) {
    return request.method === "POST"
      ? { name: "assign", detail: String(body["type"]), body }
      : { name: "addresses", detail: "", body };
  }
  if (/\/apps$/.test(pathname)) return { name: "create-app", detail: "", body };
  if (app !== undefined) return { name: `${request.method.toLowerCase()}-app`, detail: app, body };
  const [, id = "", wait] = pathname.match(/\/machines(?:\/([^/]+)(\/wait)?)?$/) ?? [];
  if (wait) return { name: "wait", detail: searchParams.get("timeout") ?? "", body };
  if (request.method === "POST") return { name: "create", detail: String(body["region"]), body };
  if (request.method === "DELETE") return { name: "delete", detail: id, body };
  return { name: id === "" ? "list" : "get", detail: id, body };
}
