/** `deno task dev` on a real Postgres. */
import assert from "node:assert/strict";
import { startPostgres } from "../../dev/stack/postgres/mod.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { runDevCommand } from "../support/dev-command.ts";
import { postgresTest } from "./postgres-test.ts";

postgresTest("deno task dev runs again on the Postgres of a run before", async () => {
  await using postgres = await startPostgres();
  for (let run = 1; run <= 2; run++) {
    const { code, stdout, stderr } = await runDevCommand(["--once", "--port", "0"], {
      DATABASE_URL: postgres.url,
    });
    assert.equal(code, 0, `run ${run}:\n${stdout}${stderr}`);
    assert.match(stdout, /✅ The machine is running/);
  }
  const supabase = await startSupabase({ databaseUrl: postgres.url });
  try {
    const rows = await supabase.sql<{ status: string; email: string }>(
      `select status, email from cloud_machines join auth.users on users.id = user_id
       order by cloud_machines.created_at`,
    );
    assert.deepEqual(rows.map(({ status, email }) => ({ status, email })), [
      { status: "destroyed", email: "demo@example.com" },
      { status: "running", email: "demo@example.com" },
    ]);
  } finally {
    await supabase.close();
  }
});
