/** A committed file that a task writes from its source, and that a test compares with it. */
import { join, resolve } from "node:path";
import { createTwoFilesPatch } from "diff";

/** One file and how to write it. */
export interface GeneratedFile {
  /** Relative to the project's root. */
  path: string;
  /** What it is written from, in words. */
  source: string;
  /** The task of deno.json that writes the file. */
  task: string;
  /** The file's text, from the source below `projectRoot`. */
  generate(projectRoot: string): Promise<string>;
}

/**
 * Compares the committed file with the generated one.
 *
 * @returns a unified diff, or `null` when they are equal
 */
export async function driftOf(file: GeneratedFile, projectRoot: string): Promise<string | null> {
  const generated = await file.generate(projectRoot);
  const committed = await Deno.readTextFile(join(projectRoot, file.path)).catch(
    (error: unknown) => {
      if (error instanceof Deno.errors.NotFound) return "";
      throw error;
    },
  );
  if (generated === committed) return null;
  return createTwoFilesPatch(
    file.path,
    `${file.path} (from ${file.source})`,
    committed,
    generated,
  );
}

/**
 * Runs the file's task: writes the file, or compares it (`--check`).
 *
 * @returns the exit code: 0, 1 when the committed file differs, 2 for unknown arguments
 */
export async function runTask(file: GeneratedFile, args: readonly string[]): Promise<number> {
  const print = (text: string) => Deno.stderr.write(new TextEncoder().encode(`${text}\n`));
  const projectRoot = resolve(import.meta.dirname ?? ".", "../..");
  const [flag, ...rest] = args;
  if (rest.length > 0 || (flag !== undefined && flag !== "--check")) {
    await print(
      `unknown arguments: ${args.join(" ")}\nusage: deno task ${file.task} [--check]`,
    );
    return 2;
  }
  if (flag === "--check") {
    const drift = await driftOf(file, projectRoot);
    if (drift === null) return 0;
    await print(
      `${drift}\n${file.path} differs from ${file.source}: run \`deno task ${file.task}\``,
    );
    return 1;
  }
  await Deno.writeTextFile(join(projectRoot, file.path), await file.generate(projectRoot));
  await print(`wrote ${file.path}`);
  return 0;
}
