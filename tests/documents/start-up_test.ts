/**
 * What is loaded before a new isolate gets its first request. Every additional module delays the
 * request that starts an isolate, and no other test would show it.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const FUNCTION = new URL("../../supabase/functions/provision-machine/", import.meta.url);

interface Dependency {
  /** Absent where only a type is imported. */
  code?: { specifier?: string };
  isDynamic?: boolean;
}

interface Graph {
  modules: { specifier: string; dependencies?: Dependency[] }[];
  redirects: Record<string, string>;
}

/** What `entry` imports, directly or not; without types and without dynamic imports. */
async function loadedBy(entry: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", fileURLToPath(new URL(entry, FUNCTION))],
    stderr: "null",
  }).output();
  const { modules, redirects }: Graph = JSON.parse(new TextDecoder().decode(stdout));
  const found = new Set<string>();
  const follow = (specifier: string) => {
    const target = redirects[specifier] ?? specifier;
    if (found.has(target)) return;
    found.add(target);
    for (
      const { code, isDynamic } of modules.find((m) => m.specifier === target)?.dependencies ?? []
    ) {
      if (code?.specifier !== undefined && !isDynamic) follow(code.specifier);
    }
  };
  follow(new URL(entry, FUNCTION).href);
  return [...found].map((specifier) =>
    specifier.startsWith(FUNCTION.href)
      ? specifier.slice(FUNCTION.href.length)
      : specifier.replace(/^npm:\/?(@?[^@]+)@[^/]+/, "npm:$1")
  );
}

const folder = (path: string) => path.split("/")[0];

Deno.test("a new isolate loads what every request needs, and no more", async () => {
  const loaded = await loadedBy("index.ts");
  assert.deepEqual(loaded.filter((path) => path.startsWith("npm:")).sort(), [
    "npm:@logtape/logtape",
    "npm:zod/v3",
  ]);
  for (
    const rare of [
      "alerts",
      "connect",
      "database",
      "destroy",
      "health",
      "metrics",
      "openapi",
      "reconcile",
    ]
  ) {
    assert.deepEqual(loaded.filter((path) => folder(path) === rare), []);
  }
});

Deno.test("provisioning loads supabase-js, and no module of the rare routes", async () => {
  const loaded = (await Promise.all(
    [
      "index.ts",
      "provision/handle-provision.ts",
      "database/database.ts",
      "auth/verify-user-token.ts",
    ]
      .map(loadedBy),
  )).flat();
  assert.ok(loaded.includes("npm:@supabase/supabase-js"), loaded.join("\n"));
  for (const rare of ["alerts", "destroy", "health", "metrics", "openapi", "reconcile"]) {
    assert.deepEqual(loaded.filter((path) => folder(path) === rare), []);
  }
  // Each machine gets its key.
  assert.deepEqual(loaded.filter((path) => folder(path) === "connect"), ["connect/token.ts"]);
});
