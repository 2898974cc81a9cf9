/** The page's files: their size, their security policy, and that any static host can serve them. */
import assert from "node:assert/strict";
import type { Route } from "playwright-core";
import { buildConsole } from "../../console/build.ts";
import { gzippedSize } from "../../dev/bundle.ts";
import {
  contentSecurityPolicy,
  metaContentSecurityPolicy,
  securityHeaders,
} from "../../console/content-security-policy.ts";
import { parseConfig } from "../../console/page/config.ts";
import { consoleTest } from "./support/console-test.ts";

/** supabase-js is most of it. */
const MAX_USER_BYTES = 90_000;
/** Chart.js is most of it. */
const MAX_OPERATOR_BYTES = 75_000;
const config = parseConfig({ supabaseUrl: "https://abc.supabase.co/", publishableKey: "key" });

Deno.test("the scripts weigh little over the wire: 90 kB for a user, 75 kB more for an operator", async () => {
  const files = await buildConsole(config);
  const scripts = [...files].filter(([name]) => name.endsWith(".js"));
  const bytes = { user: 0, operator: 0 };
  for (const [name, content] of scripts) {
    bytes[name.startsWith("operator-view") ? "operator" : "user"] += await gzippedSize(content);
  }
  assert.ok(bytes.user < MAX_USER_BYTES, `${bytes.user} bytes`);
  assert.ok(bytes.operator > 0 && bytes.operator < MAX_OPERATOR_BYTES, `${bytes.operator} bytes`);
  const main = files.get("main.js");
  assert.ok(main);
  // Charts are for operators and not part of the user's page.
  assert.ok(!new TextDecoder().decode(main).includes("maintainAspectRatio"));
});

Deno.test("the policy names the project and the machines, and nothing else", () => {
  const policy = contentSecurityPolicy(config);
  assert.match(
    policy,
    /connect-src 'self' https:\/\/abc\.supabase\.co wss:\/\/abc\.supabase\.co wss:\/\/\*\.fly\.dev;/,
  );
  assert.doesNotMatch(policy, /unsafe|data:|https?: /);
  assert.match(policy, /^default-src 'none';/);
  assert.match(policy, /frame-ancestors 'none'$/);
  assert.doesNotMatch(metaContentSecurityPolicy(config), /frame-ancestors/);
});

Deno.test("the page holds no code or style of its own, and loads from nowhere else", async () => {
  const index = new TextDecoder().decode((await buildConsole(config)).get("index.html"));
  assert.ok(index.includes(metaContentSecurityPolicy(config)));
  assert.doesNotMatch(index, /<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=/);
  for (const [, address] of index.matchAll(/(?:src|href)="([^"]*)"/g)) {
    assert.doesNotMatch(address ?? "", /^(?:[a-z]+:)?\/\//);
  }
});

Deno.test("a wrong configuration is refused, naming the setting", () => {
  const wrong: [unknown, RegExp][] = [
    [{ publishableKey: "key" }, /supabaseUrl/],
    [{ supabaseUrl: "ftp://x", publishableKey: "key" }, /supabaseUrl/],
    [{ supabaseUrl: "https://x.example", publishableKey: "" }, /publishableKey/],
    [
      { supabaseUrl: "https://x.example", publishableKey: "k", functionName: "a b" },
      /functionName/,
    ],
    [
      {
        supabaseUrl: "https://x.example",
        publishableKey: "k",
        machineOrigins: ["wss://a; script-src *"],
      },
      /machineOrigins/,
    ],
    [{ supabaseUrl: "https://x.example", publishableKey: "k", secretKey: "s" }, /secretKey/],
  ];
  for (const [value, message] of wrong) assert.throws(() => parseConfig(value), message);
});

/** What a server answers to a request with this `Host`, up to the body. */
async function headOf(port: number, path: string, host: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const request = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const response = await new Response(connection.readable).text();
  return response.slice(0, response.indexOf("\r\n\r\n"));
}

/** What the server sends for a request of a page. */
async function served(route: Route) {
  const response = await route.fetch();
  return { status: response.status(), headers: response.headers(), body: await response.body() };
}

await consoleTest("page", {}, {
  "is served with its policy, and only what belongs to it": async ({ console: served }) => {
    const index = await fetch(served.url);
    const policy = index.headers.get("content-security-policy") ?? "";
    assert.match(policy, /script-src 'self';/);
    assert.equal(index.headers.get("x-content-type-options"), "nosniff");
    assert.match(await index.text(), /Content-Security-Policy/);
    for (const path of ["deno.json", "serve.ts", "..%2fdeno.json", "page/main.ts"]) {
      const answer = await fetch(served.url + path);
      await answer.body?.cancel();
      assert.equal(answer.status, 404, path);
    }
    const post = await fetch(served.url, { method: "POST" });
    await post.body?.cancel();
    assert.equal(post.status, 405);
  },

  "every response of its server has the headers, and every name but its own is refused": async (
    { console: served },
  ) => {
    const wanted = Object.keys(securityHeaders(config));
    for (const path of ["", "main.js", "nothing", "operator/nothing", "operator"]) {
      const { headers, body } = await fetch(served.url + path);
      await body?.cancel();
      for (const name of wanted) assert.ok(headers.has(name), `${name} at /${path}`);
    }
    const statuses: Record<string, number> = {
      [`127.0.0.1:${served.port}`]: 200,
      "localhost:9999": 200,
      "[::1]:80": 200,
      "rebound.example": 421,
      "127.0.0.1.rebound.example": 421,
      "a b": 400,
      "a:b:c": 400,
      "": 400,
    };
    for (const [host, status] of Object.entries(statuses)) {
      for (const path of ["/", "/operator/functions/v1/provision-machine/health"]) {
        const head = await headOf(served.port, path, host);
        assert.match(head, new RegExp(`^HTTP/1.1 ${status} `), `${host} ${path}`);
        for (const name of wanted) assert.ok(head.includes(`${name}:`), `${name} for ${host}`);
      }
    }
  },

  "does not run inside another page": async (system) => {
    const { page } = await system.open();
    await page.route(
      "**/frame",
      (route) =>
        route.fulfill({ contentType: "text/html", body: `<iframe src="/index.html"></iframe>` }),
    );
    // As on a static host that sends no headers.
    await page.route("**/index.html", async (route) => {
      const { headers, ...response } = await served(route);
      delete headers["content-security-policy"];
      await route.fulfill({ ...response, headers });
    });
    await page.goto(`${system.console.url}frame`);
    await page.frameLocator("iframe").getByText("It does not run inside another page.").waitFor();
  },

  "its server passes on only the operator's calls": async (system) => {
    const { stack, console: served } = system;
    const headers = { apikey: stack.supabase.secretKey };
    const paths = [
      ["PATCH", "rest/v1/cloud_machines?id=eq.1"],
      ["GET", "rest/v1/installation"],
      ["DELETE", "functions/v1/provision-machine"],
      ["DELETE", "functions/v1/provision-machine/a/b"],
      ["POST", "rest/v1/machine_events"],
      ["POST", "functions/v1/provision-machine"],
      ["GET", "functions/v1/provision-machine/health/../../../rest/v1/cloud_machines"],
      ["GET", "auth/v1/admin/users"],
    ] as const;
    for (const [method, path] of paths) {
      const answer = await fetch(`${served.url}operator/${path}`, { method, headers });
      await answer.body?.cancel();
      assert.equal(answer.status, 404, `${method} ${path}`);
    }
    const health = await fetch(`${served.url}operator/functions/v1/provision-machine/health`);
    assert.deepEqual(Object.keys(await health.json()), ["status"]);
  },

  "the policy blocks what it should": async (system) => {
    const { page } = await system.open();
    const refused = await page.evaluate(async () => {
      // deno-lint-ignore no-explicit-any -- this runs in the browser, whose types are not here
      const { document } = globalThis as any;
      const violations: string[] = [];
      document.addEventListener(
        "securitypolicyviolation",
        // deno-lint-ignore no-explicit-any -- as above
        (event: any) => violations.push(event.effectiveDirective),
      );
      const script = document.createElement("script");
      try {
        script.textContent = "globalThis.ran = true";
      } catch {
        violations.push("trusted types");
      }
      await fetch("https://example.com/").catch(() => {});
      const style = document.createElement("style");
      style.textContent = "body { display: none }";
      document.head.append(style);
      await new Promise((resolve) => setTimeout(resolve, 100));
      return violations;
    });
    for (const directive of ["trusted types", "connect-src", "style-src-elem"]) {
      assert.ok(refused.includes(directive), `${directive}: ${refused.join(", ")}`);
    }
  },

  "says what is wrong when its configuration is": async (system) => {
    const context = await system.newContext();
    await context.route("**/config.json", (route) => route.fulfill({ json: { supabaseUrl: 7 } }));
    const { page } = await system.open(context);
    await page.getByRole("alert").getByText("config.json is not valid: supabaseUrl").waitFor();
  },
});
