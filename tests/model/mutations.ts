/**
 * Shows that the proofs bite: puts one deliberate bug after the other into a copy of the project and
 * runs the tests that have to notice. `deno task test:mutations`, with `--only TEXT` for the mutations
 * whose name contains it. Fails when a bug goes unnoticed, or when a test fails without any.
 */
import { parseArgs } from "node:util";
import { type Mutation, MUTATIONS } from "./mutation-list.ts";
import { runTest, type TestName, type TestResult } from "./mutation-tests.ts";

const PROJECT = new URL("../../", import.meta.url).pathname;
/** What tests and the function need; nothing else is copied. */
const COPIED = [
  "supabase",
  "dev",
  "tests",
  "client",
  "console",
  "examples",
  "deno.json",
  "deno.lock",
];

const print = globalThis.console.log.bind(globalThis.console);
const { values } = parseArgs({
  args: Deno.args,
  options: { only: { type: "string", default: "" } },
});

const chosen = MUTATIONS.filter(({ name }) => name.includes(values.only));
if (chosen.length === 0) throw new Error(`no mutation's name contains "${values.only}"`);
const copy = await Deno.makeTempDir({ prefix: "mutations-" });
try {
  for (const entry of COPIED) await copyInto(`${PROJECT}${entry}`, `${copy}/${entry}`);
  // First all of them: a mutation that no longer fits is reported before an hour has passed.
  for (const mutation of chosen) await mutated(mutation);
  const healthy = await healthyTests(new Set(chosen.flatMap(({ tests }) => tests)));
  Deno.exitCode = await checkMutations(healthy) ? 0 : 1;
} finally {
  await Deno.remove(copy, { recursive: true });
}

/** The tests that pass without a bug; one that fails anyway would seem to notice every bug. */
async function healthyTests(tests: Set<TestName>): Promise<Set<TestName>> {
  const healthy = new Set<TestName>();
  for (const test of tests) {
    const { passed, reason } = await runTest(copy, test);
    print(`without a mutation, ${test}: ${passed ? "passes" : `FAILS: ${reason}`}`);
    if (passed) healthy.add(test);
  }
  return healthy;
}

async function checkMutations(healthy: Set<TestName>): Promise<boolean> {
  print("\n| mutation | noticed by | with |\n| --- | --- | --- |");
  let caught = 0;
  for (const mutation of chosen) {
    const results = await runAgainst(mutation, mutation.tests.filter((test) => healthy.has(test)));
    const noticed = results.filter(({ passed }) => !passed);
    const by = noticed.map(({ test }) => test).join(", ") || "NOTHING";
    const reason = noticed[0]?.reason ?? (results.length > 0 ? "" : "no test of it passes without");
    print(`| ${mutation.name} | ${by} | ${reason.replaceAll("|", "\\|")} |`);
    if (noticed.length > 0) caught++;
  }
  print(`\ncaught: ${caught} of ${chosen.length}`);
  return caught === chosen.length;
}

async function runAgainst(
  mutation: Mutation,
  tests: TestName[],
): Promise<(TestResult & { test: TestName })[]> {
  const file = `${copy}/${mutation.file}`;
  const original = await Deno.readTextFile(file);
  await Deno.writeTextFile(file, await mutated(mutation));
  try {
    const results = [];
    for (const test of tests) results.push({ test, ...await runTest(copy, test) });
    return results;
  } finally {
    await Deno.writeTextFile(file, original);
  }
}

/** The file's text with the bug. Throws when the text to be replaced is not there exactly once. */
async function mutated({ name, file, from, to }: Mutation): Promise<string> {
  const text = await Deno.readTextFile(`${copy}/${file}`);
  const found = text.split(from).length - 1;
  if (found !== 1) {
    throw new Error(`"${name}" does not fit: ${file} contains its text ${found} times, not once`);
  }
  return text.replace(from, () => to);
}

async function copyInto(from: string, to: string): Promise<void> {
  const { isDirectory } = await Deno.stat(from);
  if (!isDirectory) return await Deno.copyFile(from, to);
  await Deno.mkdir(to, { recursive: true });
  for await (const { name } of Deno.readDir(from)) {
    if (name !== "node_modules") await copyInto(`${from}/${name}`, `${to}/${name}`);
  }
}
