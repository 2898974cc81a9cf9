/**
 * Packs the client as it is published: `deno task client:pack` writes `client/dist/` with the tarball,
 * and what is in it under `package/`.
 */
import { fileURLToPath } from "node:url";
import config from "../deno.json" with { type: "json" };
import { bundleForBrowsers } from "../dev/bundle.ts";

const HERE = new URL("./", import.meta.url);
const ENTRIES = ["mod.ts", "react.ts"];
/** `.ts` in an import or export of a declaration. */
const TS_PATH = /((?:from|import\()\s*"\.\/[\w-]+)\.ts"/g;

/** @param target a folder with a slash at its end, which is made anew. @returns the tarball's path */
export async function packClient(target: URL): Promise<string> {
  await Deno.remove(target, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  const folder = new URL("package/", target);
  await Deno.mkdir(folder, { recursive: true });
  const entries = ENTRIES.map((entry) => new URL(`src/${entry}`, HERE));
  const scripts = await bundleForBrowsers(entries, [
    "--external=react",
    "--external=provision-machine-client",
    "--sourcemap=linked",
  ]);
  for (const [name, content] of scripts) await Deno.writeFile(new URL(name, folder), content);
  await writeDeclarations(folder);
  const copied = { "package.json": HERE, "README.md": HERE, "LICENSE": new URL("../", HERE) };
  for (const [name, from] of Object.entries(copied)) {
    await Deno.copyFile(new URL(name, from), new URL(name, folder));
  }
  const packed = await run("npm", ["pack", "--silent", "--pack-destination", ".."], folder);
  return fileURLToPath(new URL(packed.trim(), target));
}

/**
 * With TypeScript's own compiler. That the types fit is checked with the rest of the project; this only
 * writes down those that the source declares.
 */
async function writeDeclarations(folder: URL): Promise<void> {
  await run(Deno.execPath(), [
    "run",
    "--quiet",
    "-A",
    `${config.imports.typescript}/tsc`,
    ...["--project", fileURLToPath(new URL("tsconfig.json", HERE))],
    ...["--outDir", fileURLToPath(folder)],
  ], HERE);
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".d.ts")) continue;
    const file = new URL(name, folder);
    const text = await Deno.readTextFile(file);
    await Deno.writeTextFile(file, text.replaceAll(TS_PATH, '$1.js"'));
  }
}

/** @returns what it printed. @throws Error with it, if the command fails */
async function run(command: string, args: string[], cwd: URL): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd }).output();
  const [printed, complaints] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (!success) throw new Error(`${command} ${args.join(" ")}:\n${printed}${complaints}`);
  return printed ?? "";
}

if (import.meta.main) {
  const path = await packClient(new URL("dist/", HERE));
  await Deno.stdout.write(new TextEncoder().encode(`${path}\n`));
}
