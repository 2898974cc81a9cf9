/** The commands that serve and build the console: what they refuse, and what they say. */
import assert from "node:assert/strict";
import { SignJWT } from "jose";
import { readArgs } from "../../console/command-line.ts";

const URL_ARGS = ["--supabase-url", "https://x.example"];
const COMPLETE = [...URL_ARGS, "--publishable-key", "k"];

function jwt(role: string): Promise<string> {
  return new SignJWT({ role }).setProtectedHeader({ alg: "HS256" }).sign(new Uint8Array(32));
}

async function run(script: string, args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", `console/${script}.ts`, ...args],
    cwd: new URL("../../", import.meta.url),
  }).output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

Deno.test("a mistake is reported with the option's name", () => {
  const wrong: [string[], RegExp][] = [
    [["--publishable-key", "k"], /^--supabase-url is missing$/],
    [URL_ARGS, /^--publishable-key is missing$/],
    [["--supabase-url", "ftp://x", "--publishable-key", "k"], /^--supabase-url: must be a URL/],
    [[...COMPLETE, "--machine-origin", "https://x"], /^--machine-origin: must look like wss:/],
    [[...COMPLETE, "--function-name", "a b"], /^--function-name: /],
    [[...COMPLETE, "--port", "x"], /^--port must be 0 to 65535, not x$/],
    [[...COMPLETE, "--port", "65536"], /^--port must be 0 to 65535, not 65536$/],
  ];
  for (const [args, message] of wrong) assert.throws(() => readArgs(args), { message });
  assert.equal(readArgs(COMPLETE)?.port, 4300);
  assert.equal(readArgs(["--help"]), null);
});

Deno.test("a secret key is refused without being repeated, an anon key is not", async () => {
  const secrets = ["sb_secret_abcdefghijklmnop", " sb_secret_x", await jwt("service_role")];
  for (const key of secrets) {
    assert.throws(() => readArgs([...URL_ARGS, "--publishable-key", key]), (error: Error) => {
      assert.match(error.message, /^--publishable-key: is a secret key/);
      assert.ok(!error.message.includes(key.trim()));
      return true;
    });
  }
  for (const key of ["sb_publishable_x", await jwt("anon"), "a.b.c", "a.e30.c"]) {
    assert.equal(readArgs([...URL_ARGS, "--publishable-key", key])?.config.publishableKey, key);
  }
});

Deno.test("both commands refuse a secret key and write nothing", async () => {
  for (const script of ["build", "serve"]) {
    const { code, text } = await run(script, [...URL_ARGS, "--publishable-key", "sb_secret_x"]);
    assert.equal(code, 1, script);
    assert.match(text, /^console: --publishable-key: is a secret key.*\n$/, script);
  }
});

Deno.test("--help explains the options, and an unknown one points to it", async () => {
  const help = await run("serve", ["--help"]);
  assert.equal(help.code, 0);
  for (const option of ["--supabase-url", "--publishable-key", "--port"]) {
    assert.ok(help.text.includes(option), option);
  }
  const unknown = await run("build", ["--helo"]);
  assert.equal(unknown.code, 1);
  assert.match(unknown.text, /^console: Unknown option '--helo'.*--help lists the options\n$/s);
});
