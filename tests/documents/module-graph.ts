/** Which module imports which, types included, as `deno info` sees it. */
import { fileURLToPath } from "node:url";

const PROJECT = new URL("../../", import.meta.url);

/** The part of `deno info --json` that is read here. */
interface Info {
  modules: { specifier: string; dependencies?: Dependency[] }[];
  redirects: Record<string, string>;
}

interface Dependency {
  code?: { specifier?: string };
  type?: { specifier?: string };
  isDynamic?: boolean;
}

/** An import; paths are relative to the project's root, packages are `npm:name`. */
export interface Import {
  from: string;
  to: string;
  /** False where only a type is imported. */
  code: boolean;
  /** True for `import()`. */
  dynamic: boolean;
}

/** All imports of the given files (paths from the project's root) and of what they import. */
export async function importsOf(entries: readonly string[]): Promise<Import[]> {
  const list = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const urls = entries.map((entry) => new URL(entry, PROJECT).href);
    await Deno.writeTextFile(list, urls.map((url) => `import ${JSON.stringify(url)};\n`).join(""));
    const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", fileURLToPath(new URL("deno.json", PROJECT)), list],
    }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
    return importsIn(JSON.parse(new TextDecoder().decode(stdout)));
  } finally {
    await Deno.remove(list);
  }
}

/** The project's files whose name ends with `.ts`, from its root; generated folders left out. */
export async function sourceFiles(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(new URL(`${folder}/`, PROJECT))) {
    const path = `${folder}/${name}`;
    if (isFile && name.endsWith(".ts")) found.push(path);
    if (isDirectory && name !== "node_modules" && name !== "dist") {
      found.push(...await sourceFiles(path));
    }
  }
  return found.sort();
}

function importsIn({ modules, redirects }: Info): Import[] {
  return modules.filter(({ specifier }) => specifier.startsWith(PROJECT.href)).flatMap(
    ({ specifier, dependencies = [] }) =>
      dependencies.flatMap(({ code, type, isDynamic = false }): Import[] => {
        const target = code?.specifier ?? type?.specifier;
        if (target === undefined) return [];
        const to = pathOf(redirects[target] ?? target);
        return [{ from: pathOf(specifier), to, code: code !== undefined, dynamic: isDynamic }];
      }),
  );
}

function pathOf(specifier: string): string {
  if (specifier.startsWith(PROJECT.href)) return specifier.slice(PROJECT.href.length);
  return specifier.replace(/^npm:\/?(@?[^@/]+(?:\/[^@/]+)?)@[^/]+.*$/, "npm:$1");
}

/** The first import cycle found, as the files along it; undefined without one. */
export function findCycle(imports: readonly Import[]): string[] | undefined {
  const targets = Map.groupBy(imports, ({ from }) => from);
  const done = new Set<string>();
  const visit = (file: string, path: string[]): string[] | undefined => {
    const start = path.indexOf(file);
    if (start >= 0) return [...path.slice(start), file];
    if (done.has(file)) return undefined;
    for (const { to } of targets.get(file) ?? []) {
      const cycle = visit(to, [...path, file]);
      if (cycle) return cycle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of targets.keys()) {
    const cycle = visit(file, []);
    if (cycle) return cycle;
  }
  return undefined;
}
