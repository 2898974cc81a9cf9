/** The parts of `deno task dev` that need no process: options, settings, log lines, the timer. */
import assert from "node:assert/strict";
import { databaseUrlFromShell, settingsFromShell } from "../../dev/tasks/start/environment.ts";
import { parentProcesses, type ProcessInfo } from "../../dev/tasks/start/parent-processes.ts";
import { compact } from "../../dev/tasks/start/log-lines.ts";
import { parseOptions, UsageError } from "../../dev/tasks/start/options.ts";
import { startReconcileTimer } from "../../dev/tasks/start/reconcile-timer.ts";
import { requireDeno } from "../../dev/tasks/start/requirements.ts";
import { until } from "../support/until.ts";

Deno.test("options are parsed, and each mistake is named", () => {
  assert.deepEqual(parseOptions([]), { once: false, port: 54321, help: false });
  assert.deepEqual(parseOptions(["--once", "--port=0"]), { once: true, port: 0, help: false });
  const mistakes: [string[], RegExp][] = [
    [["--port", "65536"], /^--port must be a whole number from 0 to 65535, not "65536"\.$/],
    [["--port=-1"], /^--port must be a whole number from 0 to 65535, not "-1"\.$/],
    [["--port=1e3"], /not "1e3"\.$/],
    [["--port"], /^Option '--port <value>' argument missing; see/],
    [["--once=yes"], /^Option '--once' does not take an argument; see/],
    [["once"], /^Unexpected argument 'once'; see/],
  ];
  for (const [args, message] of mistakes) {
    assert.throws(() => parseOptions(args), (error) => {
      assert.ok(error instanceof UsageError, `${args}`);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("on an older Deno the command names the one to use", () => {
  requireDeno("2.9.6");
  requireDeno("3.0.0");
  assert.throws(() => requireDeno("2.8.3"), /needs Deno 2\.9 or newer and runs on 2\.8\.3/);
});

Deno.test("the shell's settings win, except those that lead away from the local stack", () => {
  assert.deepEqual(
    settingsFromShell({
      FLY_REGION: "fra",
      FLY_API_TOKEN: "",
      FLY_API_HOSTNAME: " ",
      SUPABASE_URL: "https://project.supabase.co",
      SUPABASE_SERVICE_ROLE_KEY: "of a hosted project",
      PATH: "/bin",
    }),
    { FLY_REGION: "fra", FLY_API_TOKEN: "" },
  );
  assert.deepEqual(settingsFromShell({ FLY_API_HOSTNAME: "http://127.0.0.1:4280" }), {
    FLY_API_HOSTNAME: "http://127.0.0.1:4280",
  });
  for (const hostname of ["https://api.machines.dev", "https://127.0.0.1.example.com", "x"]) {
    assert.throws(
      () => settingsFromShell({ FLY_API_HOSTNAME: hostname }),
      /^Error: FLY_API_HOSTNAME is .*; unset it\.$/,
    );
  }
  assert.equal(databaseUrlFromShell({ DATABASE_URL: "" }), undefined);
  assert.throws(() => databaseUrlFromShell({ DATABASE_URL: "mysql://x" }), /DATABASE_URL must/);
});

Deno.test("parent processes are npx, its shell and deno task, and no others", () => {
  const processes: Record<number, ProcessInfo> = {
    10: { parent: 1, commandLine: "bash -c npx -y deno@2.9.6 task dev &" },
    11: { parent: 10, commandLine: "npm exec deno@2.9.6 task dev" },
    12: { parent: 11, commandLine: "sh -c 'deno' task dev" },
    13: { parent: 12, commandLine: "/home/me/.npm/_npx/1/node_modules/deno/deno task dev" },
    20: { parent: 10, commandLine: "sh -c deno run -A dev/tasks/start/main.ts" },
    30: { parent: 10, commandLine: "-zsh" },
    40: { parent: 10, commandLine: "node /home/me/.npm/_npx/1/node_modules/.bin/deno task dev" },
    41: { parent: 40, commandLine: "deno task dev" },
  };
  const lookUp = (pid: number) => processes[pid] ?? null;
  assert.deepEqual(parentProcesses(13, lookUp), [13, 12, 11]);
  assert.deepEqual(parentProcesses(20, lookUp), []);
  assert.deepEqual(parentProcesses(30, lookUp), []);
  assert.deepEqual(parentProcesses(41, lookUp), [41, 40]);
  assert.deepEqual(parentProcesses(99, lookUp), []);
});

Deno.test("a log event is one line and its details; other lines stay as they are", () => {
  const plain = (_style: unknown, text: string) => text;
  const event = {
    timestamp: "2026-01-02T03:04:05.678Z",
    level: "error",
    message: "❌ Fly.io provisioning failed: refused",
    requestId: "0123456789",
    machineId: "machine-1",
    userId: "user-1",
    code: "fly_rejected",
    region: null,
    attempts: 1,
    error: { name: "FlyError", message: "refused", stack: "FlyError: refused\n    at create" },
  };
  assert.equal(
    compact(JSON.stringify(event), plain),
    [
      "03:04:05.678  01234567  error    ❌ Fly.io provisioning failed: refused",
      "    code=fly_rejected  attempts=1",
      "    FlyError: refused",
      "    at create",
    ].join("\n"),
  );
  for (const line of ["Watcher started", "{not JSON", '{"level":"info"}', ""]) {
    assert.equal(compact(line, plain), line);
  }
});

Deno.test("the timer calls reconcile with the secret key, reports failures, and goes on", async () => {
  const calls: string[] = [];
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const { pathname } = new URL(request.url);
      calls.push(`${request.method} ${pathname} ${request.headers.get("apikey")}`);
      return calls.length === 1
        ? Response.json({ code: "internal_error" }, { status: 500 })
        : Response.json({ failed: 0 });
    },
  );
  const failures: string[] = [];
  const stop = startReconcileTimer({
    functionUrl: `http://127.0.0.1:${server.addr.port}/functions/v1/provision-machine`,
    secretKey: "sb_secret_1",
    intervalMs: 1,
    onFailure: (sentence) => failures.push(sentence),
  });
  await until("reconcile was called three times", () => calls.length >= 3);
  stop();
  assert.deepEqual(
    new Set(calls),
    new Set(["POST /functions/v1/provision-machine/reconcile sb_secret_1"]),
  );
  assert.deepEqual(failures, [
    'Reconcile was answered HTTP 500: {"code":"internal_error"}',
  ]);
});
