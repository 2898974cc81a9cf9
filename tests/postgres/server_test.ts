/** The throw-away Postgres: start, stop, crash, and what it leaves behind. */
import assert from "node:assert/strict";
import postgres from "postgres";
import { findPostgres, startPostgres } from "../../dev/stack/postgres/mod.ts";
import { eventually, postgresTest } from "./postgres-test.ts";

Deno.test("no Postgres on this machine: none is found, and nothing is guessed", async () => {
  const empty = await Deno.makeTempDir();
  assert.equal(await findPostgres("", `${empty}/not-there`, ""), null);
  assert.equal(await findPostgres(`:${empty}:/not/there`, empty, ""), null);
  // One of the programs alone is no server.
  await Deno.writeTextFile(`${empty}/postgres`, "");
  assert.equal(await findPostgres(empty, empty, ""), null);
  // What was chosen is never replaced by another.
  assert.equal(await findPostgres(undefined, undefined, empty), null);
  await Deno.remove(empty, { recursive: true });
});

postgresTest(
  "a throw-away Postgres: what was committed outlives a crash, and all of it goes",
  async () => {
    const server = await startPostgres();
    const { url } = server;
    let sql = postgres(url);
    await sql`create table kept (n integer)`;
    await sql`insert into kept values (42)`;
    await sql.end();

    await server.restart("immediate");
    assert.equal(server.url, url);
    sql = postgres(url);
    assert.deepEqual([...await sql`select n from kept`], [{ n: 42 }]);
    const [shown] = await sql`show data_directory`;
    const directory = String(shown?.data_directory);
    await sql.end();
    assert.match(await server.log(), /was not properly shut down; automatic recovery in progress/);

    await server.stop();
    await server.stop();
    await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: server.port }));
    await server.start();
    await server.dispose();
    await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port: server.port }));
    await assert.rejects(Deno.stat(directory), Deno.errors.NotFound);
  },
);

postgresTest(
  "a throw-away Postgres goes with the process that started it, however that ends",
  async () => {
    const module = JSON.stringify(import.meta.resolve("../../dev/stack/postgres/mod.ts"));
    for (const end of ["throw new Error('the test failed');", "Deno.kill(Deno.pid, 'SIGKILL');"]) {
      const code = `
      import { startPostgres } from ${module};
      const server = await startPostgres();
      console.log(server.port);
      ${end}
    `;
      const { stdout, success } = await new Deno.Command(Deno.execPath(), {
        args: ["eval", code],
        stderr: "null",
      }).output();
      const port = Number(new TextDecoder().decode(stdout));
      assert.ok(!success && port > 0, "the process ended as it was meant to");
      await eventually("the server is gone", async () => {
        try {
          (await Deno.connect({ hostname: "127.0.0.1", port })).close();
          return false;
        } catch {
          return true;
        }
      });
    }
  },
);

postgresTest("a program of Postgres that fails is quoted, and nothing is left behind", async () => {
  await assert.rejects(
    startPostgres({ settings: { shared_buffers: "a lot" } }),
    /pg_ctl failed: [^]*invalid value for parameter "shared_buffers"/,
  );
});
