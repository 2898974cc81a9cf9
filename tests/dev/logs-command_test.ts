/** `deno task logs`: the real command on the log of real requests. */
import assert from "node:assert/strict";
import { parseOptions, UsageError } from "../../dev/tasks/logs/options.ts";
import { readEvents } from "../../dev/tasks/logs/read-events.ts";
import { requestsOf } from "../../dev/tasks/logs/requests.ts";
import { startStack } from "../support/stack.ts";

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

const COMMAND = new URL("../../dev/tasks/logs/main.ts", import.meta.url).pathname;

async function logs(args: string[], input: string): Promise<Run> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", COMMAND, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  // A run that fails on its arguments does not read.
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { code, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** A log with a success, two refusals by Fly.io and a run of reconcile that found a dead request. */
async function realLog() {
  await using stack = await startStack();
  const { supabase, simulator } = stack;
  const success = await stack.call(await supabase.createUser(), { body: {} });
  const refuse = async () => {
    simulator.addFault({
      match: { action: "create" },
      do: { kind: "status", status: 422, body: { error: "no such image \x1b[31mred" } },
    });
    const answer = await stack.call(await supabase.createUser(), { body: {} });
    assert.equal(answer.body.code, "fly_rejected");
    await stack.log(answer);
    return answer;
  };
  const older = await refuse();
  const newest = await refuse();
  await supabase.sql(
    `insert into cloud_machines (user_id, machine_id, fly_app_name, region, cpu_priority,
       request_hash, request_id, deadline_at, reconcile_at)
     values ($1, 'machine-of-a-dead-request', 'test-app', 'iad', 'low', 'hash', 'r', now(), now())`,
    [(await supabase.createUser()).id],
  );
  const reconcile = await stack.reconcile();
  await stack.log(reconcile);
  const lines = stack.fn.lines.map(({ line }) => line);
  return { lines, success, older, newest, reconcile };
}

Deno.test("deno task logs", async (t) => {
  const { lines, success, older, newest, reconcile } = await realLog();
  const text = lines.join("\n");

  await t.step("without an argument: the newest requests, one line each", async () => {
    const { code, stdout, stderr } = await logs([], text);
    assert.deepEqual([code, stderr], [0, ""]);
    const rows = stdout.trim().split("\n");
    assert.deepEqual(
      rows.map((row) => row.split(" ").at(-1)),
      [reconcile, newest, older, success].map(({ requestId }) => requestId),
    );
    assert.match(rows[1] ?? "", /^\d{4}-\d{2}-\d{2} [\d:.]+ {2}500 fly_rejected +[\d.]+ m?s {2}/);
    assert.ok(rows[1]?.includes(newest.body.machineId));
    assert.match(rows[3] ?? "", /200 succeeded/);
    const limited = await logs(["--limit", "1"], text);
    assert.match(limited.stdout, /^.*\n… and 3 older/);
  });

  await t.step("one request, by its id or the beginning of it", async () => {
    const byId = await logs([success.requestId], text);
    assert.equal(byId.code, 0);
    assert.match(byId.stdout, /^POST \/provision-machine → 200 succeeded after /);
    for (
      const said of [
        success.requestId,
        success.body.machineId,
        "region  iad",
        /phases {2}auth [\d.]+ m?s, claim [\d.]+ m?s, create [\d.]+ m?s/,
        /\+[\d.]+ m?s {2}info +Calling Fly\.io API to create machine in iad\.\.\./,
      ]
    ) {
      assert.ok(
        said instanceof RegExp ? said.test(byId.stdout) : byId.stdout.includes(said),
        byId.stdout,
      );
    }
    const byPrefix = await logs([success.requestId.slice(0, 8)], text);
    assert.equal(byPrefix.stdout, byId.stdout);
  });

  await t.step("by code: the newest, and how many more there are", async () => {
    const { stdout } = await logs(["fly_rejected"], text);
    const [detail, others] = stdout.split("1 older request as well:\n");
    assert.ok(detail?.includes(newest.requestId) && !detail.includes(older.requestId));
    assert.ok(others?.includes(older.requestId));
    assert.match(detail ?? "", /failed {2}create: Fly\.io answered 422/);
    assert.match(detail ?? "", /error +❌ Fly\.io provisioning failed/);
    assert.match(detail ?? "", /flyStatus: 422/);
    assert.match(detail ?? "", /FlyError: .*\n +at /);
  });

  await t.step("by machine: also the run of reconcile that found it", async () => {
    const own = await logs([newest.body.machineId], text);
    assert.ok(own.stdout.includes(newest.requestId));
    const found = await logs(["machine-of-a-dead-request"], text);
    assert.match(found.stdout, /^POST \/provision-machine\/reconcile/);
  });

  await t.step("what the dashboard exports, as an array and line by line", async () => {
    const rows = lines.map((line, index) => ({
      id: `row-${index}`,
      timestamp: 1_795_443_000_000_000,
      event_message: `${line}\n`,
      level: "info",
    }));
    const expected = await logs(["fly_rejected"], text);
    for (
      const exported of [
        JSON.stringify(rows, null, 2),
        rows.map((r) => JSON.stringify(r)).join("\n"),
      ]
    ) {
      assert.deepEqual(await logs(["fly_rejected"], exported), expected);
    }
  });

  await t.step("lines that are no events are skipped and counted", async () => {
    const noise = ["Listening on http://localhost:9999/", "{not json", '{"timestamp":"x"}', "[1]"];
    const { code, stdout, stderr } = await logs([], [...noise, text].join("\r\n"));
    assert.equal(code, 0);
    assert.equal(stdout.trim().split("\n").length, 4);
    assert.equal(stderr, "Skipped 4 lines that are no log events.\n");
    const prefixed = lines.map((line) => `[Info] ${line}`).join("\n");
    assert.equal((await logs([], prefixed)).stdout, stdout);
  });

  await t.step("nothing found, nothing to read, nothing that makes sense", async () => {
    const unknown = await logs(["fly_capacity"], text);
    assert.deepEqual([unknown.code, unknown.stdout], [1, ""]);
    assert.match(unknown.stderr, /^There is nothing about fly_capacity in \d+ events\.\n$/);
    assert.equal((await logs([], "")).code, 1);
    const missing = await logs(["--file", "/no/such/file"], "");
    assert.equal(missing.code, 2);
    assert.match(missing.stderr, /^\/no\/such\/file cannot be read: /);
    for (const args of [["--limit", "0"], ["a", "b"], ["--nonsense"]]) {
      assert.throws(() => parseOptions(args), UsageError);
    }
    const help = await logs(["--help"], "");
    assert.deepEqual([help.code, help.stderr], [0, ""]);
    assert.match(help.stdout, /^Shows the function's log/);
  });

  await t.step("a file, and no escape codes outside of a terminal", async () => {
    const file = await Deno.makeTempFile();
    try {
      await Deno.writeTextFile(file, text);
      const fromFile = await logs(["--file", file, "fly_rejected"], "");
      assert.equal(fromFile.stdout, (await logs(["fly_rejected"], text)).stdout);
      // Nor those that an upstream error smuggles in.
      // deno-lint-ignore no-control-regex -- these are what is looked for
      assert.doesNotMatch(fromFile.stdout, /[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
    } finally {
      await Deno.remove(file);
    }
  });

  // `script` of Linux makes a terminal; that of other systems takes other arguments.
  const ignore = Deno.build.os !== "linux";
  await t.step({
    name: "colours on a terminal, none there with NO_COLOR",
    ignore,
    fn: async () => {
      const file = await Deno.makeTempFile();
      try {
        await Deno.writeTextFile(file, text);
        const onTerminal = async (env: Record<string, string>) => {
          const command = [Deno.execPath(), "run", "-A", "--quiet", COMMAND, "--file", file].join(
            " ",
          );
          const { stdout } = await new Deno.Command("script", {
            args: ["-qec", command, "/dev/null"],
            env: { TERM: "xterm-256color", ...env },
          }).output();
          return new TextDecoder().decode(stdout);
        };
        // deno-lint-ignore no-control-regex -- escape codes are what this is about
        const escapes = /\x1b\[3[12]m/;
        assert.match(await onTerminal({ NO_COLOR: "" }), escapes);
        assert.doesNotMatch(await onTerminal({ NO_COLOR: "1" }), escapes);
      } finally {
        await Deno.remove(file);
      }
    },
  });
});

Deno.test("an event after a summary belongs to its request, and one without a request is counted", () => {
  const text = [
    '{"timestamp":"2026-11-23T14:00:00.000Z","level":"info","message":"m","requestId":"r-1"}',
    '{"timestamp":"2026-11-23T14:00:01.000Z","level":"error","message":"late","afterRequestId":"r-1"}',
    '{"timestamp":"2026-11-23T14:00:00.000Z","level":"error","message":"no request at all"}',
  ].join("\n");
  const { requests, unowned } = requestsOf(readEvents(text).events);
  assert.deepEqual(requests.map(({ id, events }) => [id, events.map(({ message }) => message)]), [
    ["r-1", ["m", "late"]],
  ]);
  assert.equal(unowned, 1);
});
