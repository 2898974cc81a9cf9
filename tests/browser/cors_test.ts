/** The function called from a page on another origin, as a frontend does it. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import type { ConsoleStack } from "./support/console-stack.ts";
import { consoleTest } from "./support/console-test.ts";

interface Seen {
  status: number;
  type: string;
  headers: Record<string, string | null>;
  body: Record<string, unknown> | null;
}

const READABLE = ["x-request-id", "retry-after", "idempotency-replayed", "allow"];

/** An empty page on a port, and hence an origin, of its own. */
async function onAnotherOrigin(
  system: ConsoleStack,
  run: (page: Page, origin: string) => Promise<void>,
): Promise<void> {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () =>
      new Response("<!DOCTYPE html><title>A frontend</title>", {
        headers: { "content-type": "text/html" },
      }),
  );
  try {
    const origin = `http://127.0.0.1:${server.addr.port}`;
    const page = await (await system.newContext()).newPage();
    await page.goto(origin);
    await run(page, origin);
    await page.context().close();
  } finally {
    await server.shutdown();
  }
}

/** What a script in the page can see of an answer; its text when the browser keeps it from it. */
function call(
  page: Page,
  url: string,
  init: { method: string; headers?: Record<string, string>; body?: string },
): Promise<Seen | string> {
  return page.evaluate(async ({ url, init, readable }) => {
    try {
      const response = await fetch(url, init);
      const text = await response.text();
      return {
        status: response.status,
        type: response.type,
        headers: Object.fromEntries(readable.map((name) => [name, response.headers.get(name)])),
        body: text ? JSON.parse(text) : null,
      };
    } catch (error) {
      return String(error);
    }
  }, { url, init, readable: READABLE });
}

function seen(answer: Seen | string): Seen {
  if (typeof answer === "string") assert.fail(`the browser kept the answer back: ${answer}`);
  return answer;
}

await consoleTest("CORS", {}, {
  "a provision with every header of the API passes its preflight": async (system) => {
    const { stack } = system;
    const user = await stack.supabase.createUser();
    await onAnotherOrigin(system, async (page) => {
      const init = {
        method: "POST",
        headers: {
          authorization: `Bearer ${user.accessToken}`,
          apikey: stack.supabase.publishableKey,
          "content-type": "application/json",
          "x-client-info": "test",
          "idempotency-key": "cors-1",
          prefer: "wait=10",
          "x-request-id": "cors-request",
        },
        body: "{}",
      };
      const url = `${stack.supabase.url}/functions/v1/provision-machine`;
      const first = seen(await call(page, url, init));
      assert.equal(first.status, 200);
      assert.equal(first.type, "cors");
      assert.equal(first.headers["x-request-id"], "cors-request");
      const preflights = stack.supabase.requests({ method: "OPTIONS", service: "functions" });
      assert.ok(preflights.length > 0, "the browser asked beforehand");

      // One id names one request.
      const { "x-request-id": _, ...others } = init.headers;
      const again = seen(await call(page, url, { ...init, headers: others }));
      assert.equal(again.headers["idempotency-replayed"], "true");
      const machineId = String(first.body?.["machineId"]);
      const gone = seen(
        await call(page, `${url}/${machineId}`, { method: "DELETE", headers: others }),
      );
      assert.equal(gone.status, 200);
    });
  },

  "error answers can be read, with their headers": async (system) => {
    const { stack } = system;
    const user = await stack.supabase.createUser();
    const signedIn = { authorization: `Bearer ${user.accessToken}` };
    const json = { ...signedIn, "content-type": "application/json" };
    await onAnotherOrigin(system, async (page) => {
      const url = `${stack.supabase.url}/functions/v1/provision-machine`;
      const cases = [
        [401, "unauthorized", "", {
          method: "POST",
          headers: { "content-type": "application/json" },
        }],
        [403, "forbidden", "/reconcile", { method: "POST", headers: signedIn }],
        [400, "invalid_request", "", { method: "POST", headers: json, body: '{"region":"moon"}' }],
        [404, "not_found", "/no-such-machine", { method: "DELETE", headers: signedIn }],
        [404, "not_found", "/a/b/c", { method: "GET", headers: signedIn }],
        [405, "method_not_allowed", "/health", { method: "POST", headers: signedIn }],
        [415, "unsupported_media_type", "", {
          method: "POST",
          headers: { ...signedIn, "content-type": "text/plain" },
          body: "x",
        }],
      ] as const;
      for (const [status, code, path, init] of cases) {
        const answer = seen(await call(page, url + path, init));
        assert.deepEqual([answer.status, answer.body?.["code"]], [status, code]);
        assert.equal(answer.headers["x-request-id"], answer.body?.["requestId"]);
      }
      const wrong = seen(await call(page, `${url}/health`, { method: "POST", headers: signedIn }));
      assert.match(wrong.headers["allow"] ?? "", /GET/);

      stack.simulator.addFault({
        match: { action: "create" },
        times: "always",
        do: { kind: "status", status: 422, body: { error: "insufficient resources" } },
      });
      const full = seen(await call(page, url, { method: "POST", headers: json, body: "{}" }));
      assert.deepEqual([full.status, full.body?.["code"]], [500, "fly_capacity"]);
      assert.match(full.headers["retry-after"] ?? "", /^\d+$/);
    });
  },

  "with ALLOWED_ORIGINS only those origins get in": async (system) => {
    const { stack } = system;
    await onAnotherOrigin(system, async (allowed, origin) => {
      await system.restart({ ALLOWED_ORIGINS: `https://app.example.com,${origin}` });
      const url = `${stack.supabase.url}/functions/v1/provision-machine`;
      const init = { method: "POST", headers: { "content-type": "application/json" }, body: "{}" };
      assert.equal(seen(await call(allowed, url, init)).status, 401);
      await onAnotherOrigin(system, async (stranger) => {
        assert.match(String(await call(stranger, url, init)), /TypeError: Failed to fetch/);
      });
    });
  },
});
