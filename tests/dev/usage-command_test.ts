/** `deno task usage`: a month per user, from the events of real machines. */
import assert from "node:assert/strict";
import { startStack } from "../support/stack.ts";

const MAIN = new URL("../../dev/tasks/usage/main.ts", import.meta.url).pathname;

async function usage(args: string[], env: Record<string, string>) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", MAIN, ...args],
    env: { NO_COLOR: "1", ...env },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

Deno.test("a month of usage per user, as a table and as CSV", async () => {
  await using stack = await startStack();
  const { supabase } = stack;
  const env = { SUPABASE_URL: supabase.url, SUPABASE_SECRET_KEY: supabase.secretKey };
  const [one, two] = [await supabase.createUser(), await supabase.createUser()];
  for (const [user, hours] of [[one, 5], [two, 2]] as const) {
    const { body } = await stack.call(user, { body: {} });
    await stack.call(user, { method: "DELETE", path: `/${body.machineId}` });
    const [row] = await stack.rowsOf(user);
    await supabase.sql(
      `insert into machine_events (cloud_machine_id, request_id, kind, created_at) values
       ($1, 'r', 'running', '2024-02-29 00:00Z'),
       ($1, 'r', 'destroyed', '2024-02-29 00:00Z'::timestamptz + make_interval(hours => $2))`,
      [row?.id, hours],
    );
  }
  const csv = await usage(["--month", "2024-02", "--csv"], env);
  assert.deepEqual([csv.code, csv.stderr], [0, ""]);
  assert.deepEqual(csv.stdout.trim().split("\n"), [
    "month,user_id,machines,running_seconds,stopped_seconds",
    `2024-02,${one.id},1,18000.000,0.000`,
    `2024-02,${two.id},1,7200.000,0.000`,
  ]);
  const table = await usage(["--month", "2024-02"], env);
  const lines = table.stdout.trim().split("\n").map((line) => line.trim().split(/ {2,}/));
  assert.deepEqual(lines.slice(2), [
    ["user", "machines", "running", "stopped"],
    [one.id, "1", "5.00 h", "0.00 h"],
    [two.id, "1", "2.00 h", "0.00 h"],
    ["all", "2", "7.00 h", "0.00 h"],
  ]);
  assert.equal(
    (await usage(["--month", "2024-03", "--csv"], env)).stdout.trim().split("\n").length,
    1,
  );
});

Deno.test("usage: what is wrong is one sentence, without the key", async () => {
  const wrong = await usage(["--month", "november"], {});
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /^--month november: expected a month such as 2026-11\n/);
  const unset = await usage([], { SUPABASE_URL: "", SUPABASE_SECRET_KEY: "" });
  assert.equal(unset.code, 2);
  assert.match(unset.stderr, /^SUPABASE_URL and SUPABASE_SECRET_KEY are not both set/);
  const away = await usage([], {
    SUPABASE_URL: "http://127.0.0.1:9",
    SUPABASE_SECRET_KEY: "sb_secret_of-this-test",
  });
  assert.equal(away.code, 1);
  assert.match(away.stderr, /^The usage could not be read: /);
  assert.ok(!away.stderr.includes("sb_secret"));
});
