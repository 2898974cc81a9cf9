/** `deno task dev`: what it starts, prints and leaves behind. */
import assert from "node:assert/strict";
import { databaseUrlFromShell, settingsFromShell } from "../../dev/tasks/start/environment.ts";
import { parentProcesses, type ProcessInfo } from "../../dev/tasks/start/parent-processes.ts";
import { compact } from "../../dev/tasks/start/log-lines.ts";
import { parseOptions, UsageError } from "../../dev/tasks/start/options.ts";
import { startReconcileTimer } from "../../dev/tasks/start/reconcile-timer.ts";
import { requireDeno } from "../../dev/tasks/start/requirements.ts";
import {
  DevCommand,
  isOpen,
  isRunning,
  portsIn,
  processesBelow,
  runDevCommand,
} from "../support/dev-command.ts";
import { until } from "../support/until.ts";

/** Printed last before the command only serves. */
const SERVING = "Log lines of the function:";

Deno.test("--once provisions a machine that runs, shows it and exits with 0", async () => {
  const { code, stdout, stderr } = await runDevCommand(["--once", "--port", "0"]);
  assert.equal(code, 0, stdout + stderr);
  const machineId = /"machineId": "([\w-]+)"/.exec(stdout)?.[1] ?? "";
  assertInOrder(stdout, [
    "provision-machine invoked",
    "Environment check: FLY_API_TOKEN: EXISTS (length: ",
    "Calling Fly.io API to create machine in iad...",
    "Fly.io API response status: 200 OK",
    "✅ Fly machine created successfully: ",
    "Answer: HTTP 200",
    `"machineId": "${machineId}"`,
    '"status": "running"',
    "Row in cloud_machines",
    `machine_id      ${machineId}`,
    "status          running",
    `{"machine":"${machineId}","region":"iad"`,
    `✅ The machine is running: ${machineId}`,
  ]);
  assert.match(stderr, /migration \d+_cloud_machines\.sql/);
  for (const port of portsIn(stdout)) assert.equal(await isOpen(port), false);
});

Deno.test("a missing token is shown in the answer, the row and the log, and exits with 1", async () => {
  const { code, stdout } = await runDevCommand(["--once", "--port", "0"], {
    FLY_API_TOKEN: "",
    LOG_FORMAT: "json",
  });
  assert.equal(code, 1, stdout);
  const error = "FLY_API_TOKEN not configured - cannot provision Fly.io machine";
  assertInOrder(stdout, [
    "Answer: HTTP 500",
    `"error": "${error}"`,
    '"message": "Server configuration error - FLY_API_TOKEN missing"',
    "status         error",
    `error_message  ${error}`,
    "❌ The machine is not running",
  ]);
  const events = stdout.split("\n").filter((line) => line.startsWith('{"timestamp"'))
    .map((line) => JSON.parse(line));
  assert.ok(events.some(({ message }) => message.includes("FLY_API_TOKEN: MISSING ❌")));
  const critical = events.find(({ message }) => message === `CRITICAL ERROR: ${error}`);
  assert.equal(critical?.level, "error");
});

Deno.test("serves with commands that work as they are printed, until SIGINT", async () => {
  await using command = new DevCommand(["--port", "0"], { env: { FLY_REGION: "fra" } });
  await command.untilPrinted(SERVING);
  const { stdout } = command;
  assert.match(stdout, /region\s+fra/);
  assert.match(stdout, /From your shell\s+FLY_REGION\n/);
  for (const key of ["sb_publishable_", "sb_secret_"]) assert.match(stdout, new RegExp(key));

  const [provision, fault] = curlCommands(stdout);
  assert.ok(provision && fault, stdout);
  assert.deepEqual(await (await fault()).json(), { id: 1 });
  const refused = await provision();
  assert.equal(refused.status, 500);
  assert.equal((await refused.json()).code, "fly_rejected");
  const provisioned = await provision();
  assert.equal(provisioned.status, 200);
  assert.equal((await provisioned.json()).region, "fra");
  await command.untilPrinted("provision-machine finished: fly_rejected (HTTP 500)");

  const ports = portsIn(stdout);
  const children = await processesBelow(command.pid);
  assert.ok(ports.length >= 3 && children.length >= 1, stdout);
  command.kill("SIGINT");
  const { code } = await command.ended;
  assert.equal(code, 0);
  assert.deepEqual(await leftOver(ports, children), { ports: [], processes: [] });
});

Deno.test("SIGTERM while it starts leaves nothing behind", async () => {
  await using command = new DevCommand(["--port", "0"]);
  await command.untilPrinted("cloud_machines.sql");
  command.kill("SIGTERM");
  await command.untilPrinted("closing");
  const children = await processesBelow(command.pid);
  const { code, stdout } = await command.ended;
  assert.equal(code, 130);
  assert.equal(stdout, "");
  assert.deepEqual(await leftOver([], children), { ports: [], processes: [] });
});

Deno.test("ends when the program that started it was killed", async () => {
  await using task = new DevCommand(["--port", "0"], { throughTask: true });
  await task.untilPrinted(SERVING);
  const ports = portsIn(task.stdout);
  const processes = await processesBelow(task.pid);
  assert.ok(processes.length >= 2);
  task.kill("SIGKILL");
  await until("its processes and ports are gone", async () => {
    const left = await leftOver(ports, processes);
    return left.ports.length === 0 && left.processes.length === 0;
  });
});

Deno.test("a port that is taken is one sentence that names the way out", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const { code, stdout, stderr } = await runDevCommand(["--once", "--port", String(port)]);
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.equal(
    stderr,
    `Port ${port} is taken by another program: stop it, or choose another port with --port N ` +
      "(--port 0 takes any free one).\n",
  );
});

Deno.test("an option that does not exist is one sentence, and exits with 2", async () => {
  const { code, stdout, stderr } = await runDevCommand(["--onec"]);
  assert.equal(code, 2);
  assert.equal(stdout, "");
  assert.equal(stderr, "Unknown option '--onec'; see deno task dev --help.\n");
});

Deno.test("a package that npm does not give is one sentence", async () => {
  const emptyDirectory = await Deno.makeTempDir({ prefix: "deno-dir-" });
  const unused = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = unused.addr;
  unused.close();
  try {
    const { code, stderr } = await runDevCommand(["--once", "--port", "0"], {
      DENO_DIR: emptyDirectory,
      NPM_CONFIG_REGISTRY: `http://127.0.0.1:${port}/`,
    });
    assert.equal(code, 1);
    assert.match(stderr, /\nA dependency is missing: .* npm package .*127\.0\.0\.1.*\.\n$/);
  } finally {
    await Deno.remove(emptyDirectory, { recursive: true });
  }
});

Deno.test("a Postgres that does not answer is one sentence without the password", async () => {
  const { code, stdout, stderr } = await runDevCommand(["--once", "--port", "0"], {
    DATABASE_URL: "postgres://me:hidden@127.0.0.1:1/mine",
  });
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /\nCannot connect to Postgres at 127\.0\.0\.1:1\/mine: [^\n]+\n$/);
  assert.ok(!stderr.includes("hidden"));
});

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

function assertInOrder(text: string, parts: string[]): void {
  let from = 0;
  for (const part of parts) {
    const at = text.indexOf(part, from);
    assert.ok(at >= 0, `"${part}" is missing or out of order in:\n${text}`);
    from = at + part.length;
  }
}

/** What is still there of the ports and processes. */
async function leftOver(
  ports: number[],
  processes: number[],
): Promise<{ ports: number[]; processes: number[] }> {
  const open = await Promise.all(ports.map(isOpen));
  const running = await Promise.all(processes.map(isRunning));
  return {
    ports: ports.filter((_, index) => open[index]),
    processes: processes.filter((_, index) => running[index]),
  };
}

/** The printed curl commands, as calls. */
function curlCommands(text: string): (() => Promise<Response>)[] {
  const commands = text.replaceAll("\\\n", " ").split("\n")
    .filter((line) => line.trim().startsWith("curl "));
  return commands.map((command) => {
    const url = /^\s*curl -X POST (\S+)/.exec(command)?.[1] ?? "";
    const headers = [...command.matchAll(/-H '([^:]+): ([^']*)'/g)]
      .map(([, name = "", value = ""]): [string, string] => [name, value]);
    const body = / -d '([^']*)'/.exec(command)?.[1] ?? "";
    return () => fetch(url, { method: "POST", headers, body });
  });
}
