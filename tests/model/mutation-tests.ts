/** The tests that deliberate bugs are shown to, as arguments of `deno`. */
export const TESTS = {
  "model": [
    "run",
    "-A",
    "tests/model/run.ts",
    "--runs=200",
    "--seed=1",
    "--no-shrink",
  ],
  "lives": [
    "run",
    "-A",
    "tests/life/run.ts",
    "--lives=500",
    "--seed=20261129",
    "--no-shrink",
  ],
  "regressions": ["test", "-A", "--no-check", "tests/model/regressions_test.ts"],
  "recovering": ["test", "-A", "--no-check", "tests/api/recovery_test.ts"],
  "destroying": ["test", "-A", "--no-check", "tests/api/destroy_test.ts"],
  "connecting": ["test", "-A", "--no-check", "tests/api/connect_test.ts"],
  "connections": ["test", "-A", "--no-check", "tests/examples/connections_test.ts"],
  "connect secret": ["test", "-A", "--no-check", "tests/api/connect-secret_test.ts"],
  "destroying a row's machine": [
    "test",
    "-A",
    "--no-check",
    "tests/unit/machine-of-row_test.ts",
  ],
  "lid on Postgres": ["test", "-A", "--no-check", "tests/postgres/lid_test.ts"],
  "give up": ["test", "-A", "--no-check", "tests/unit/give-up_test.ts"],
  "retention": ["test", "-A", "--no-check", "tests/database/retention_test.ts"],
  "pool": ["test", "-A", "--no-check", "tests/api/pool_test.ts"],
  "regions": ["test", "-A", "--no-check", "tests/api/regions_test.ts"],
  "lid": ["test", "-A", "--no-check", "tests/api/lid_test.ts"],
  "banned": ["test", "-A", "--no-check", "tests/api/banned_test.ts"],
  "legacy key": [
    "test",
    "-A",
    "--no-check",
    "tests/unit/legacy-key_test.ts",
    "tests/api/legacy-key_test.ts",
  ],
  "refusals": ["test", "-A", "--no-check", "tests/unit/refusals_test.ts"],
  "alerts without a row": [
    "test",
    "-A",
    "--no-check",
    "tests/alerts/alerts-without-row_test.ts",
  ],
  "alerts on Postgres": ["test", "-A", "--no-check", "tests/postgres/alerts_test.ts"],
  "fly client": ["test", "-A", "--no-check", "tests/unit/fly-client_test.ts"],
  "retry": ["test", "-A", "--no-check", "tests/api/retry_test.ts"],
  "openapi": ["test", "-A", "--no-check", "tests/api/openapi_test.ts"],
  "errors": ["test", "-A", "--no-check", "tests/unit/errors_test.ts"],
  "client's answers": ["test", "-A", "--no-check", "tests/unit/client-answers_test.ts"],
  "client's connection": ["test", "-A", "--no-check", "tests/unit/client-connection_test.ts"],
  "client's watch": ["test", "-A", "--no-check", "tests/unit/client-watch_test.ts"],
  "machine's sessions": ["test", "-A", "--no-check", "tests/examples/sessions_test.ts"],
  "realtime": ["test", "-A", "--no-check", "tests/dev/local-supabase-realtime_test.ts"],
  "in flight": ["test", "-A", "--no-check", "tests/unit/in-flight_test.ts"],
  "changes": ["test", "-A", "--no-check", "tests/api/lifecycle_test.ts"],
  "states": ["test", "-A", "--no-check", "tests/api/states_test.ts"],
  "alerts": ["test", "-A", "--no-check", "tests/alerts/alerts_test.ts"],
  "signing keys": ["test", "-A", "--no-check", "tests/unit/signing-keys_test.ts"],
  "tokens": ["test", "-A", "--no-check", "tests/api/tokens_test.ts"],
  "redactor": ["test", "-A", "--no-check", "tests/unit/redactor_test.ts"],
  "floods": ["test", "-A", "--no-check", "tests/log/floods_test.ts"],
  "reconcile": ["test", "-A", "--no-check", "tests/api/reconcile_test.ts"],
  "due rows": ["test", "-A", "--no-check", "tests/database/due-rows_test.ts"],
  "ownership": ["test", "-A", "--no-check", "tests/api/ownership_test.ts"],
  "pace of own apps": ["test", "-A", "--no-check", "tests/unit/own-app-pace_test.ts"],
  "address": ["test", "-A", "--no-check", "tests/api/address_test.ts"],
  "taken names": ["test", "-A", "--no-check", "tests/api/taken-names_test.ts"],
  "rename": ["test", "-A", "--no-check", "tests/database/rename_test.ts"],
  "strangers": ["test", "-A", "--no-check", "tests/api/strangers_test.ts"],
  "moved project": ["test", "-A", "--no-check", "tests/api/moved-project_test.ts"],
  "row level security": ["test", "-A", "--no-check", "tests/database/row-level-security_test.ts"],
  "request context": ["test", "-A", "--no-check", "tests/dev/local-supabase-context_test.ts"],
  "kept database": ["test", "-A", "--no-check", "tests/dev/kept-database_test.ts"],
  "concurrency on Postgres": ["test", "-A", "--no-check", "tests/postgres/concurrency_test.ts"],
  "hosted Postgres": ["test", "-A", "--no-check", "tests/postgres/hosted_test.ts"],
  "doctor": ["test", "-A", "--no-check", "tests/dev/doctor_test.ts"],
  "doctor on Postgres": ["test", "-A", "--no-check", "tests/postgres/doctor_test.ts"],
  "smoke": ["test", "-A", "--no-check", "tests/dev/smoke_test.ts"],
  "console's page": ["test", "-A", "--no-check", "tests/browser/page_test.ts"],
  "operator's machines": ["test", "-A", "--no-check", "tests/browser/operator-machines_test.ts"],
  "parts of the console": ["test", "-A", "--no-check", "tests/browser/page-parts_test.ts"],
} as const;

export type TestName = keyof typeof TESTS;

export interface TestResult {
  passed: boolean;
  /** Why it failed, in a line; empty when it passed. */
  reason: string;
}

/** Runs a test in a copy of the project. */
export async function runTest(directory: string, name: TestName): Promise<TestResult> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...TESTS[name]],
    cwd: directory,
    // In CI a test that needs Postgres fails without it; a test that is ignored would prove nothing.
    env: { CI: "true", NO_COLOR: "1" },
  }).output();
  const output = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n");
  if (success) return { passed: true, reason: "" };
  const lines = output.split("\n").map((line) => line.trim());
  const reason = lines.find((line) => /^(I\d|log|hang|unhandled rejection): /.test(line)) ??
    lines.find((line) => /^error: |Error: /.test(line)) ?? lines.find((line) => line !== "");
  return { passed: false, reason: (reason ?? "no output").slice(0, 160) };
}
