/** The function's parts import only what the table in docs/ARCHITECTURE.md lets them, and no cycle. */
import assert from "node:assert/strict";
import { findCycle, type Import, importsOf, sourceFiles } from "./module-graph.ts";

const FUNCTION = "supabase/functions/provision-machine";
const ARCHITECTURE = new URL("../../docs/ARCHITECTURE.md", import.meta.url);

interface Part {
  names: string[];
  mayImport: string[];
}

/** The rows of the table: the names in its first cell, and those in its last. */
async function readParts(): Promise<Part[]> {
  const text = await Deno.readTextFile(ARCHITECTURE);
  const namesIn = (cell = "") => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
  const table = text.slice(text.indexOf("| part "), text.indexOf("Elsewhere:"));
  return table.split("\n").filter((line) => line.startsWith("| `")).map((line) => {
    const cells = line.split("|").slice(1, -1);
    return { names: namesIn(cells[0]), mayImport: namesIn(cells.at(-1)) };
  });
}

/** The most specific of `names` that covers a path: the file itself, or a folder above it. */
function coveredBy(path: string, names: readonly string[]): string | undefined {
  return names.filter((name) => path === name || path.startsWith(`${name}/`))
    .sort((a, b) => b.length - a.length)[0];
}

function inFunction(path: string): string {
  return path.startsWith(`${FUNCTION}/`) ? path.slice(FUNCTION.length + 1) : path;
}

function violations(parts: readonly Part[], imports: readonly Import[]): string[] {
  const names = [
    ...parts.flatMap((part) => part.names),
    ...parts.flatMap((part) => part.mayImport.filter((name) => name.startsWith("npm:"))),
  ];
  return imports.filter(({ from }) => from.startsWith(`${FUNCTION}/`)).flatMap(({ from, to }) => {
    const [file, target] = [inFunction(from), inFunction(to)];
    const [own, imported] = [coveredBy(file, names), coveredBy(target, names)];
    const part = parts.find((part) => own !== undefined && part.names.includes(own));
    if (part === undefined || own === undefined) return [`${file} is in no row of the table`];
    if (imported === undefined) return [`${file} imports ${target}, which is in no row`];
    const allowed = [...part.names, ...part.mayImport].includes(imported);
    return allowed
      ? []
      : [`${file} imports ${target}, but \`${own}\` may not import \`${imported}\``];
  });
}

Deno.test("the function's imports are those that docs/ARCHITECTURE.md allows", async () => {
  const parts = await readParts();
  assert.ok(parts.length > 10, "the table was not found");
  const imports = await importsOf(await sourceFiles(FUNCTION));
  assert.ok(imports.length > 100, `only ${imports.length} imports were found`);
  assert.deepEqual(violations(parts, imports), []);
});

Deno.test("every name of the table exists, and every permission is used", async () => {
  const parts = await readParts();
  const imports = await importsOf(await sourceFiles(FUNCTION));
  const names = parts.flatMap((part) => part.names);
  for (const name of names) {
    assert.ok(await exists(name), `docs/ARCHITECTURE.md names ${name}, which does not exist`);
  }
  const used = (part: Part, name: string) =>
    imports.some(({ from, to }) =>
      part.names.includes(coveredBy(inFunction(from), names) ?? "") &&
      coveredBy(inFunction(to), [...names, name]) === name
    );
  assert.deepEqual(
    parts.flatMap((part) =>
      part.mayImport.filter((name) => !used(part, name))
        .map((name) => `${part.names.join(", ")} does not import ${name}: remove it`)
    ),
    [],
  );
});

Deno.test("a violation is named", () => {
  const parts = [
    { names: ["fly"], mayImport: ["errors.ts"] },
    { names: ["errors.ts"], mayImport: [] },
    { names: ["database"], mayImport: [] },
  ];
  const edge = (from: string, to: string): Import => ({
    from: `${FUNCTION}/${from}`,
    to: `${FUNCTION}/${to}`,
    code: true,
    dynamic: false,
  });
  assert.deepEqual(
    violations(parts, [
      edge("fly/client.ts", "errors.ts"),
      edge("fly/client.ts", "fly/errors.ts"),
      edge("fly/client.ts", "database/rows.ts"),
      edge("new.ts", "errors.ts"),
    ]),
    [
      "fly/client.ts imports database/rows.ts, but `fly` may not import `database`",
      "new.ts is in no row of the table",
    ],
  );
});

Deno.test("no import cycle, types included", async () => {
  const folders = [FUNCTION, "client", "console", "dev", "tests", "bench"];
  const files = (await Promise.all(folders.map(sourceFiles))).flat();
  const imports = await importsOf(files);
  assert.equal(findCycle(imports)?.join(" → "), undefined);
  const [first] = imports;
  assert.ok(first);
  const back = { ...first, from: first.to, to: first.from };
  assert.deepEqual(findCycle([first, back]), [first.from, first.to, first.from]);
});

/** What only one part of the function may contain, wherever it is imported from. */
const WORDS: { what: string; pattern: RegExp; allowed: string[] }[] = [
  {
    what: "calls or names a Postgres function",
    pattern: /\.rpc\(|\bp_[a-z_]+\b|\.from\("/,
    allowed: ["database/"],
  },
  { what: "has a path of Fly.io's API", pattern: /\/apps\//, allowed: ["fly/"] },
  {
    what: "touches a global",
    pattern:
      /\b(Date\.now|new Date\(\)|Math\.random|performance\.|crypto\.|Deno\.|EdgeRuntime\b|setTimeout|setInterval|console\.)|(?<![.\w])fetch\(/,
    allowed: ["runtime.ts", "index.ts"],
  },
  { what: "has state of its own", pattern: /^(export )?let /m, allowed: [] },
];

Deno.test("names of Postgres, paths of Fly.io and globals stay where they belong", async () => {
  for (const path of await sourceFiles(FUNCTION)) {
    const file = inFunction(path);
    const source = await Deno.readTextFile(new URL(`../../${path}`, import.meta.url));
    const code = source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$|\s\/\/ .*$/gm, "");
    for (const { what, pattern, allowed } of WORDS) {
      if (allowed.some((name) => file === name || file.startsWith(name))) continue;
      const found = code.split("\n").find((line) => pattern.test(line));
      assert.equal(found, undefined, `${file} ${what}`);
    }
  }
});

async function exists(name: string): Promise<boolean> {
  const url = new URL(`../../${FUNCTION}/${name}`, import.meta.url);
  return await Deno.stat(url).then(() => true, () => false);
}
