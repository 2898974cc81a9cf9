/** The local Supabase passes requests on to functions as the hosted gateway does. */
import assert from "node:assert/strict";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { migrationsDirectory } from "../support/local-supabase.ts";

Deno.test("local Supabase's gateway passes functions' requests on", async (t) => {
  await using migrations = await migrationsDirectory({});
  const supabase = await startSupabase({ migrationsDir: migrations.url });
  const chunks = new TransformStream<Uint8Array, Uint8Array>();
  const writer = chunks.writable.getWriter();
  const functionServer = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {}, onError: () => new Response(null) },
    async (request) => {
      const { pathname, search } = new URL(request.url);
      if (pathname === "/echo/stream") return new Response(chunks.readable);
      if (pathname === "/echo/half") {
        let pulls = 0;
        return new Response(
          new ReadableStream({
            pull(controller) {
              if (pulls++ === 0) controller.enqueue(new TextEncoder().encode("half"));
              else controller.error(new Error("the function died"));
            },
          }),
        );
      }
      if (pathname === "/echo/moved") {
        return new Response(null, { status: 307, headers: { location: "/elsewhere" } });
      }
      return Response.json(
        {
          pathname,
          search,
          headers: Object.fromEntries(request.headers),
          body: await request.text(),
        },
        { status: 201, headers: { "access-control-allow-origin": "https://app.example" } },
      );
    },
  );
  const functions = `${supabase.url}/functions/v1`;
  try {
    supabase.setFunction("echo", `http://127.0.0.1:${functionServer.addr.port}`);

    await t.step("path, query, body and headers arrive, the answer is untouched", async () => {
      const response = await fetch(`${functions}/echo/a/b?c=d`, {
        method: "POST",
        body: "payload",
        headers: { authorization: "Bearer t", "x-request-id": "r1", "proxy-authorization": "p" },
      });
      const { pathname, search, headers, body } = await response.json();
      assert.deepEqual([pathname, search, body], ["/echo/a/b", "?c=d", "payload"]);
      assert.equal(response.status, 201);
      assert.equal(response.headers.get("access-control-allow-origin"), "https://app.example");
      assert.deepEqual([headers.authorization, headers["x-request-id"]], ["Bearer t", "r1"]);
      assert.equal(headers["x-forwarded-for"], "127.0.0.1");
      assert.equal(headers["x-forwarded-proto"], "http");
      assert.equal(headers["x-forwarded-port"], new URL(supabase.url).port);
      assert.equal(headers["proxy-authorization"], undefined);
    });

    await t.step("a redirect is the caller's to follow", async () => {
      const response = await fetch(`${functions}/echo/moved`, { redirect: "manual" });
      await response.body?.cancel();
      assert.deepEqual([response.status, response.headers.get("location")], [307, "/elsewhere"]);
    });

    await t.step("an answer is streamed", async () => {
      const response = await fetch(`${functions}/echo/stream`);
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      for (const chunk of ["one", "two"]) {
        await writer.write(new TextEncoder().encode(chunk));
        assert.equal((await reader?.read())?.value, chunk);
      }
      await writer.close();
      assert.equal((await reader?.read())?.done, true);
    });

    await t.step("an answer that breaks off breaks off for the caller too", async () => {
      const response = await fetch(`${functions}/echo/half`);
      await assert.rejects(response.text(), TypeError);
    });

    await t.step("a dead function is 503, an unknown one 404, a crash 500", async () => {
      const call = async (name: string) => {
        const response = await fetch(`${functions}/${name}`);
        return [response.status, (await response.json()).code];
      };
      assert.deepEqual(await call("unknown"), [404, "NOT_FOUND"]);
      supabase.setFunction("echo", null);
      assert.deepEqual(await call("echo"), [503, "BOOT_ERROR"]);
      await functionServer.shutdown();
      supabase.setFunction("echo", `http://127.0.0.1:${functionServer.addr.port}`);
      assert.deepEqual(await call("echo"), [503, "BOOT_ERROR"]);
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      supabase.setFunction("crashing", `http://127.0.0.1:${listener.addr.port}`);
      const crash = listener.accept().then((connection) => connection.close());
      assert.deepEqual(await call("crashing"), [500, "WORKER_ERROR"]);
      await crash;
      assert.throws(() => supabase.setFunction("../x", null), /no name of an Edge Function/);
    });
  } finally {
    await supabase.close();
    await functionServer.shutdown();
  }
});
