/**
 * Every request, however odd, gets an answer in the contract's form and in time, is logged, and never
 * gets a 5xx for the caller's mistake. The app runs in this process, on the local Supabase and the
 * Fly simulator; bad-input-http_test.ts does the same to a real process over raw TCP.
 *
 * A failing run prints its seed; `BAD_INPUT_SEED` repeats it, `BAD_INPUT_RUNS` makes it longer.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { FlySimulator } from "../../dev/stack/fly/mod.ts";
import { mintUserToken, startSupabase } from "../../dev/stack/supabase/mod.ts";
import { createApp } from "../../supabase/functions/provision-machine/app.ts";
import {
  platformRuntime,
  type Runtime,
} from "../../supabase/functions/provision-machine/runtime.ts";
import { Isolate } from "../../supabase/functions/provision-machine/isolate.ts";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";
import { type OddRequest, oddRequests } from "../support/bad-input-arbitraries.ts";
import { assertTruthfulAnswer, type RawAnswer } from "../support/bad-input-checks.ts";
import { FLY_APP, FLY_TOKEN, IMAGE } from "../support/stack.ts";

const SEED = Number(Deno.env.get("BAD_INPUT_SEED") ?? crypto.getRandomValues(new Int32Array(1))[0]);
const RUNS = Number(Deno.env.get("BAD_INPUT_RUNS") ?? 400);
const ORIGIN = "http://127.0.0.1:8000";
/** No request here has to wait; one that takes this long hangs. */
const HANGS_AFTER_MS = 20_000;

Deno.test(`any request gets a truthful answer and is logged (seed ${SEED})`, async () => {
  await using world = await startWorld();
  const { app, lines, secrets, valid } = world;
  await fc.assert(
    fc.asyncProperty(oddRequests(valid), async (odd) => {
      const before = lines.length;
      const answer = await answerOf(app, odd);
      assertTruthfulAnswer(answer, secrets);
      await world.settled();
      assertLogged(lines.slice(before), [answer], secrets);
    }),
    { seed: SEED, numRuns: RUNS, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
});

Deno.test(`requests at once do not mix up their answers or log lines (seed ${SEED})`, async () => {
  await using world = await startWorld();
  const { app, lines, secrets, valid } = world;
  await fc.assert(
    fc.asyncProperty(fc.array(oddRequests(valid), { minLength: 2, maxLength: 12 }), async (all) => {
      const before = lines.length;
      const answers = await Promise.all(all.map((odd) => answerOf(app, odd)));
      await world.settled();
      for (const answer of answers) assertTruthfulAnswer(answer, secrets);
      assertLogged(lines.slice(before), answers, secrets);
    }),
    { seed: SEED, numRuns: Math.ceil(RUNS / 10), interruptAfterTimeLimit: 60_000 },
  );
});

Deno.test("a body that never ends is given up", async () => {
  const { clock } = platformRuntime;
  const startedAt = clock.now();
  // A hundred times as fast, so that the test does not wait for the real time limit.
  const fast = {
    now: () => startedAt + (clock.now() - startedAt) * 100,
    after: (ms: number, callback: () => void) => clock.after(ms / 100, callback),
  };
  await using world = await startWorld({ clock: fast });
  for (const firstPart of ["", '{"region":']) {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode(firstPart)),
    });
    const response = await world.app(
      new Request(`${ORIGIN}/provision-machine`, {
        method: "POST",
        headers: { apikey: world.valid.secretKey, "content-type": "application/json" },
        body,
      }),
    );
    const answer = { ...response, status: response.status, text: await response.text() };
    assert.equal(answer.status, 400, answer.text);
    assert.equal(JSON.parse(answer.text).error, "The body did not arrive");
  }
});

/** The platform's clock, and `skip` to the time of each timer that waits now. */
function skippableClock() {
  const { clock } = platformRuntime;
  let skippedMs = 0;
  const timers = new Map<() => void, number>();
  const now = () => clock.now() + skippedMs;
  return {
    now,
    after(ms: number, callback: () => void) {
      const run = () => {
        cancel();
        callback();
      };
      const cancelTimer = clock.after(ms, run);
      const cancel = () => {
        timers.delete(run);
        cancelTimer();
      };
      timers.set(run, now() + ms);
      return cancel;
    },
    skip() {
      skippedMs += Math.max(0, ...[...timers.values()].map((at) => at - now()));
      for (const run of [...timers.keys()]) run();
    },
  };
}

async function startWorld(changes: Partial<Runtime> = {}) {
  const clock = skippableClock();
  const supabase = await startSupabase();
  const simulator = new FlySimulator({
    apps: [FLY_APP],
    tokens: [FLY_TOKEN],
    settings: { startDelayMs: 0, rateLimits: null },
  });
  const env = {
    SUPABASE_URL: supabase.url,
    SUPABASE_SECRET_KEYS: JSON.stringify({ default: supabase.secretKey }),
    SUPABASE_SERVICE_ROLE_KEY: supabase.serviceRoleKey,
    FLY_API_TOKEN: FLY_TOKEN,
    FLY_APP_NAME: FLY_APP,
    DOCKER_IMAGE: IMAGE,
    FLY_API_HOSTNAME: "https://fly.test",
    FLY_RATE_PER_SECOND: "1000",
    FLY_RATE_BURST: "1000",
    MAX_MACHINES_PER_USER: "100000",
  };
  const background = new Set<Promise<unknown>>();
  const isolate = new Isolate({
    ...platformRuntime,
    clock,
    env: (name) => ({ ...env } as Record<string, string | undefined>)[name],
    fetch: (input, init) => {
      const request = new Request(input, init);
      return request.url.startsWith(supabase.url)
        ? supabase.fetch(request)
        : simulator.fetch(request);
    },
    waitUntil: (work) => void background.add(work),
    ...changes,
  });
  const user = await supabase.createUser();
  const odd = (claims: Record<string, unknown>) =>
    mintUserToken({ userId: user.id, key: supabase.jwtSecret, claims });
  const { lines, restore } = captureConsole();
  return {
    app: createApp(isolate, ROUTES),
    /** What was logged so far; grows. */
    lines,
    secrets: [FLY_TOKEN, supabase.secretKey, supabase.serviceRoleKey, supabase.jwtSecret],
    valid: {
      userId: user.id,
      accessToken: user.accessToken,
      secretKey: supabase.secretKey,
      oddTokens: await Promise.all([
        odd({ sub: "not-a-uuid" }),
        odd({ sub: 42 as unknown as string }),
        odd({ role: ["authenticated"] }),
        odd({ sub: crypto.randomUUID() }),
        odd({ exp: 1 }),
        odd({ aud: { a: 1 } as unknown as string }),
      ]),
    },
    /** Resolves when no work is left in the background; the end of the log's window is not waited for. */
    async settled() {
      const work = Promise.all(background);
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, 50);
      await Promise.race([work, late]);
      clearTimeout(timer);
      clock.skip();
      await work;
      background.clear();
    },
    async [Symbol.asyncDispose]() {
      restore();
      await Promise.allSettled(background);
      await simulator.abandonCalls();
      await supabase.close();
    },
  };
}

async function answerOf(app: ReturnType<typeof createApp>, odd: OddRequest): Promise<RawAnswer> {
  const { method, path, headers, body } = odd;
  const request = new Request(ORIGIN + path, {
    method,
    headers,
    ...(body === null || ["GET", "HEAD"].includes(method) ? {} : { body: bodyOf(odd) }),
  });
  const { promise: hangs, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("no answer: it hangs")), HANGS_AFTER_MS);
  try {
    const response = await Promise.race([app(request), hangs]);
    return { status: response.status, headers: response.headers, text: await response.text() };
  } finally {
    clearTimeout(timer);
  }
}

function bodyOf({ body, chunkBytes, breaksOff }: OddRequest): BodyInit {
  const bytes = typeof body === "string"
    ? new TextEncoder().encode(body)
    : body ?? new Uint8Array();
  if (chunkBytes === 0 && !breaksOff) return bytes;
  const size = Math.max(chunkBytes || bytes.length, 1, Math.ceil(bytes.length / 100));
  let offset = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (offset > 0 && breaksOff) return controller.error(new TypeError("the caller hung up"));
      if (offset >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(offset, offset + size));
      offset += size;
    },
  });
}

/**
 * Each line is one event, none contains a secret, and each answer has its request's summary or is
 * one of those that the log's budget left out and counted.
 */
function assertLogged(lines: string[], answers: RawAnswer[], secrets: string[]): void {
  const events = lines.map((line) => {
    for (const secret of secrets) assert.ok(!line.includes(secret), `a secret in ${line}`);
    try {
      return JSON.parse(line);
    } catch {
      throw new Error(`a line is not one JSON object: ${line}`);
    }
  });
  // Two callers may send one id, so that each summary answers for one request.
  const summaries = events.filter(({ message }) => /^provision-machine finished: /.test(message));
  const withoutSummary = answers.filter(({ headers, status }) => {
    const requestId = headers.get("x-request-id");
    const own = summaries.findIndex((event) =>
      event.requestId === requestId && event.status === status
    );
    if (own >= 0) summaries.splice(own, 1);
    return own < 0;
  });
  const leftOut = events
    .filter((event) => /^provision-machine refused \d+ more requests/.test(event.message))
    .flatMap((event): number[] => Object.values({ ...event.refused, ...event.failed }))
    .reduce((sum, count) => sum + count, 0);
  assert.equal(withoutSummary.length, leftOut, `requests without a summary: ${lines.join("\n")}`);
}

/** Collects what is printed instead of printing it. */
function captureConsole() {
  const lines: string[] = [];
  const printer = globalThis.console;
  const methods = ["debug", "info", "log", "warn", "error"] as const;
  const originals = { ...printer };
  for (const method of methods) printer[method] = (line: unknown) => void lines.push(String(line));
  return { lines, restore: () => void Object.assign(printer, originals) };
}
