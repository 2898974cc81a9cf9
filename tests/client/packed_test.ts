/** The client as it is published, where it is used: fresh apps, Node.js and Deno. */
import assert from "node:assert/strict";
import { gzippedSize } from "../../dev/bundle.ts";
import { codeBlocks, readDocument } from "../documents/markdown.ts";
import { PackedClient, SUPABASE_JS } from "./packed-client.ts";

const CREATE_VITE = "create-vite@9.3.0";
const CREATE_NEXT_APP = "create-next-app@16.4.3";

Deno.test("the packed client", async (t) => {
  await using packed = await PackedClient.make();

  await t.step("is small, and needs no other package", async () => {
    const text = await Deno.readTextFile(new URL("mod.js", packed.contents));
    // The line that names the source map is dropped by whatever bundles it.
    const script = text.replace(/^\/\/# sourceMappingURL=.*\n/m, "");
    const size = await gzippedSize(new TextEncoder().encode(script));
    assert.ok(size < 4_000, `mod.js has ${size} bytes gzipped`);
    assert.doesNotMatch(text, /\bimport\b|\brequire\b|\bDeno\b|\bprocess\b/);
    const manifest = JSON.parse(
      await Deno.readTextFile(new URL("package.json", packed.contents)),
    );
    assert.equal(manifest.dependencies, undefined);
  });

  await t.step("builds in a fresh Vite app", async () => {
    const template = ["--template", "react-ts", "--no-interactive"];
    await packed.run("./", "npx", "-y", CREATE_VITE, "vite", ...template);
    await packed.copy("machine.tsx", "vite/src/App.tsx");
    await packed.copy("service-down.ts", "vite/src/down.ts");
    const [example, hook] = await readmeExamples();
    await packed.write("vite/src/example.ts", example);
    await packed.write("vite/src/Hook.tsx", hook);
    await packed.install("vite", SUPABASE_JS);
    await packed.run("vite/", "npm", "run", "build");
    // For those who check the declarations of their packages as well.
    const strict = ["--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false"];
    const bare = ["--ignoreConfig", "--noEmit", "--types", "", "--lib", "es2022,dom"];
    await packed.run("vite/", "npx", "tsc", ...bare, ...strict, "src/down.ts");
  });

  await t.step("builds in a fresh Next app, for its pages and for its server", async () => {
    const choices = ["--ts", "--app", "--no-eslint", "--no-tailwind", "--no-src-dir"];
    const quietly = ["--use-npm", "--disable-git", "--skip-install", "--yes"];
    await packed.run("./", "npx", "-y", CREATE_NEXT_APP, "next", ...choices, ...quietly);
    await packed.copy("layout.tsx", "next/app/layout.tsx");
    await packed.copy("machine.tsx", "next/app/page.tsx");
    await Deno.mkdir(new URL("next/app/provision/", packed.folder));
    await packed.copy("route.ts", "next/app/provision/route.ts");
    await packed.install("next", SUPABASE_JS);
    const printed = await packed.run("next/", "npm", "run", "build");
    assert.match(printed, /\/provision\b/);
  });

  await t.step("lives on in Node.js and in Deno when the service is down", async () => {
    await Deno.mkdir(new URL("plain/", packed.folder));
    await packed.write("plain/package.json", JSON.stringify({ type: "module", private: true }));
    await packed.install("plain");
    await packed.copy("service-down.ts", "plain/down.ts");
    // Node.js 20 reads no TypeScript.
    const javascript = new URL("plain/down.mjs", packed.folder).pathname;
    const deno = Deno.execPath();
    await packed.run("plain/", deno, "bundle", "--packages=external", "-o", javascript, "down.ts");
    const reports = [
      await packed.run("plain/", "node", "down.mjs"),
      await packed.run("plain/", deno, "run", "--allow-net=127.0.0.1", "--check", "down.ts"),
    ];
    for (const { hasWebSocket, ...report } of reports.map((report) => JSON.parse(report))) {
      assert.deepEqual(report, {
        provision: "network_error same_key with its key",
        list: "network_error same_key without a key",
        destroy: "network_error same_key without a key",
        aborted: "we left",
        // Node.js has none before version 22, which another attempt does not change.
        connected: hasWebSocket ? "closed by us" : "closed no",
        watched: "reading,failing",
      });
    }
  });
});

/** The examples of client/README.md as modules of an app. */
async function readmeExamples(): Promise<[string, string]> {
  const document = await readDocument("client/README.md");
  const [example = ""] = codeBlocks(document, "ts");
  const [hook = ""] = codeBlocks(document, "tsx");
  assert.match(example, /createProvisionMachineClient/);
  assert.match(hook, /useMachine/);
  return [
    `const SUPABASE_URL = "https://project.supabase.co";
     const SUPABASE_PUBLISHABLE_KEY = "sb_publishable_key";
     ${example}`,
    `import { machines } from "./example";\n${hook}`,
  ];
}
