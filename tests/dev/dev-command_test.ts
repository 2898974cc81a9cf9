/** `deno task dev`: what it starts, prints and leaves behind. */
import assert from "node:assert/strict";
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
    `{"machineId":"${machineId}","userId":"`,
    `✅ The machine is running: ${machineId}`,
  ]);
  assert.match(stderr, /migrations? .*\d+_\w+\.sql/);
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

  const [provision, connect, fault] = curlCommands(stdout);
  assert.ok(provision && connect && fault, stdout);
  const connected = await connect();
  assert.equal(connected.status, 200);
  assert.match((await connected.json()).token, /^[\w-]+\.[\w-]+\.[\w-]+$/);
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
  await command.untilPrinted("migration");
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
