/** The local Supabase's faults and its record of requests. */
import assert from "node:assert/strict";
import { type LocalSupabase, startSupabase } from "../../dev/stack/supabase/mod.ts";
import { migrationsDirectory } from "../support/local-supabase.ts";

/** Status and JSON of a call of the database function, over HTTP. */
async function addNote(supabase: LocalSupabase, init: RequestInit = {}) {
  const response = await fetch(`${supabase.url}/rest/v1/rpc/add_note`, {
    method: "POST",
    headers: { "content-type": "application/json", apikey: supabase.secretKey },
    body: JSON.stringify({ body: "x" }),
    ...init,
  });
  return { status: response.status, body: await response.json() };
}

async function countNotes(supabase: LocalSupabase): Promise<unknown> {
  const [row] = await supabase.sql<{ n: number }>("select count(*)::int as n from public.notes");
  return row?.n;
}

/** Asks again until the condition holds, with a turn of the event loop in between. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 10_000; attempt++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error("the condition never held");
}

Deno.test("local Supabase's gateway injects faults and records requests", async (t) => {
  await using migrations = await migrationsDirectory();
  const supabase = await startSupabase({ migrationsDir: migrations.url });
  const step = (name: string, run: () => Promise<void>) =>
    t.step(name, async () => {
      await supabase.sql("delete from public.notes");
      supabase.clearFaults();
      supabase.clearRequests();
      await run();
    });
  try {
    await step("a reset before: the connection breaks, nothing is done", async () => {
      supabase.addFault({ match: { rpc: "add_note" }, do: { kind: "reset", when: "before" } });
      await assert.rejects(addNote(supabase), TypeError);
      assert.equal(await countNotes(supabase), 0);
      assert.equal((await addNote(supabase)).status, 200);
      assert.deepEqual(supabase.requests({ rpc: "add_note" }).map((r) => [r.fault, r.status]), [
        ["reset", null],
        [null, 200],
      ]);
    });

    await step("a reset after: the connection breaks, the work is done", async () => {
      supabase.addFault({ match: { rpc: "add_note" }, do: { kind: "reset", when: "after" } });
      await assert.rejects(addNote(supabase), TypeError);
      assert.equal(await countNotes(supabase), 1);
    });

    await step("in process a reset is a TypeError too, as supabase-js expects", async () => {
      supabase.addFault({ match: { rpc: "add_note" }, do: { kind: "reset", when: "after" } });
      const { error, status } = await supabase.serviceClient().rpc("add_note", { body: "x" });
      assert.equal(status, 0);
      assert.match(error?.message ?? "", /fetch failed/);
      assert.equal(await countNotes(supabase), 1);
      assert.deepEqual(supabase.requests().map((r) => r.transport), ["in-process"]);
    });

    await step("hang: no answer until the caller gives up", async () => {
      for (const [when, notes] of [["before", 0], ["after", 1]] as const) {
        supabase.addFault({ match: { rpc: "add_note" }, do: { kind: "hang", when } });
        const caller = new AbortController();
        const seen = Promise.withResolvers<void>();
        const remove = supabase.onRequest(() => seen.resolve());
        const call = addNote(supabase, { signal: caller.signal });
        await seen.promise;
        await until(async () => await countNotes(supabase) === notes);
        caller.abort();
        await assert.rejects(call, { name: "AbortError" });
        remove();
      }
    });

    await step("in process, too, a caller that gives up gets its own reason", async () => {
      supabase.addFault({ match: { rpc: "add_note" }, do: { kind: "hang", when: "before" } });
      const caller = new AbortController();
      supabase.onRequest(() => caller.abort(new Error("too slow")));
      const call = supabase.fetch(`${supabase.url}/rest/v1/rpc/add_note`, {
        method: "POST",
        signal: caller.signal,
      });
      await assert.rejects(call, /too slow/);
      assert.equal(await countNotes(supabase), 0);
    });

    await step("status: this answer instead", async () => {
      supabase.addFault({
        match: { service: "rest" },
        do: { kind: "status", status: 503, body: { message: "no" }, headers: { "x-a": "b" } },
        times: 2,
      });
      for (let attempt = 0; attempt < 2; attempt++) {
        assert.deepEqual(await addNote(supabase), { status: 503, body: { message: "no" } });
      }
      assert.equal((await addNote(supabase)).status, 200);
      assert.equal(await countNotes(supabase), 1);
    });

    await step("hold and delay: done once the promise settles, or the time is over", async () => {
      const gate = Promise.withResolvers<void>();
      supabase.addFault({ match: { rpc: "add_note" }, do: { kind: "hold", until: gate.promise } });
      const seen = Promise.withResolvers<void>();
      supabase.onRequest(() => seen.resolve());
      const call = addNote(supabase);
      await seen.promise;
      assert.equal(await countNotes(supabase), 0);
      gate.resolve();
      assert.equal((await call).status, 200);
      supabase.addFault({
        match: { rpc: "add_note" },
        do: { kind: "delay", ms: 1, when: "before" },
      });
      assert.equal((await addNote(supabase)).status, 200);
    });

    await step("a delay is not cut short by a caller that leaves: the work is done", async () => {
      supabase.addFault({
        match: { rpc: "add_note" },
        do: { kind: "delay", ms: 100, when: "before" },
      });
      const caller = new AbortController();
      supabase.onRequest(() => caller.abort());
      await assert.rejects(addNote(supabase, { signal: caller.signal }), { name: "AbortError" });
      await until(async () => await countNotes(supabase) === 1);
    });

    await step("answers that break: the work is done", async () => {
      const faults = [
        [{ kind: "half-answer" }, TypeError],
        [{ kind: "garbage" }, SyntaxError],
        [{ kind: "status", status: 502, body: "<html>", effect: true }, SyntaxError],
      ] as const;
      for (const [index, [fault, error]] of faults.entries()) {
        supabase.addFault({ match: { rpc: "add_note" }, do: fault });
        await assert.rejects(addNote(supabase), error);
        assert.equal(await countNotes(supabase), index + 1);
      }
    });

    await step("rules: skip, times, removal; a hook decides on its own", async () => {
      const fault = { kind: "status", status: 500 } as const;
      supabase.addFault({ match: { rpc: "add_note" }, do: fault, skip: 1, times: 1 });
      const statuses = async (count: number) => {
        const seen = [];
        for (let n = 0; n < count; n++) seen.push((await addNote(supabase)).status);
        return seen;
      };
      assert.deepEqual(await statuses(3), [200, 500, 200]);
      const remove = supabase.addFault({
        match: { path: "*add_note" },
        do: fault,
        times: "always",
      });
      assert.deepEqual(await statuses(2), [500, 500]);
      remove();
      const unhook = supabase.onRequest(({ rpc, method }) =>
        rpc === "add_note" && method === "POST" ? { kind: "status", status: 418 } : undefined
      );
      assert.deepEqual(await statuses(1), [418]);
      unhook();
      assert.deepEqual(await statuses(1), [200]);
    });

    await step("outage: Auth and Data API are gone, functions are not", async () => {
      supabase.setFunction("hello", () => new Response("hello"));
      supabase.setOutage(true);
      await assert.rejects(addNote(supabase), TypeError);
      await assert.rejects(fetch(`${supabase.url}/auth/v1/user`), TypeError);
      const hello = await fetch(`${supabase.url}/functions/v1/hello`);
      assert.equal(await hello.text(), "hello");
      supabase.setOutage({ services: ["rest"], fault: { kind: "status", status: 503 } });
      assert.equal((await addNote(supabase)).status, 503);
      supabase.setOutage(false);
      assert.equal((await addNote(supabase)).status, 200);
    });

    await step("CORS: a page of any origin may use Auth and Data API", async () => {
      for (const path of ["/auth/v1/token", "/rest/v1/notes"]) {
        const preflight = await fetch(supabase.url + path, {
          method: "OPTIONS",
          headers: {
            origin: "https://example.com",
            "access-control-request-method": "POST",
            "access-control-request-headers": "apikey, authorization, x-client-info",
          },
        });
        assert.equal(preflight.status, 204);
        assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
        assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /\bPATCH\b/);
        assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /x-client-info/);
        const refused = await fetch(supabase.url + path);
        await refused.body?.cancel();
        assert.equal(refused.status, 401);
        assert.equal(refused.headers.get("access-control-allow-origin"), "*");
      }
    });

    await step("other paths are 404", async () => {
      for (const path of ["/", "/rest/v2/notes", "/storage/v1/bucket", "/_system"]) {
        const response = await fetch(supabase.url + path);
        assert.equal(response.status, 404, path);
        assert.deepEqual(await response.json(), { error: "requested path is invalid" });
      }
    });
  } finally {
    await supabase.close();
  }
});
