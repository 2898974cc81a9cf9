/** Scripts for browsers, made with `deno bundle`, whose bundler (esbuild) comes from npm. */
const PROJECT_CONFIG = new URL("../deno.json", import.meta.url);

/**
 * Bundles the modules and what they share into one script each and its chunks. Writes only a temporary
 * directory, which is removed again. @returns content of each file by its name
 *
 * @throws Error with the bundler's message when the scripts cannot be bundled
 */
export async function bundleForBrowsers(
  entries: URL[],
  options: string[] = [],
): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const outdir = await Deno.makeTempDir({ prefix: "provision-machine-bundle-" });
  try {
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "bundle",
        "--quiet",
        `--config=${PROJECT_CONFIG.pathname}`,
        "--platform=browser",
        "--format=esm",
        "--code-splitting",
        "--minify",
        ...options,
        `--outdir=${outdir}`,
        ...entries.map(({ pathname }) => pathname),
      ],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).output();
    if (code !== 0) {
      const names = entries.map(({ pathname }) => pathname).join(", ");
      throw new Error(`${names} could not be bundled:\n${new TextDecoder().decode(stderr)}`);
    }
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    for await (const { name } of Deno.readDir(outdir)) {
      files.set(name, await Deno.readFile(`${outdir}/${name}`));
    }
    return files;
  } finally {
    await Deno.remove(outdir, { recursive: true });
  }
}

/** Size of a file over the wire, in bytes. */
export async function gzippedSize(content: Uint8Array<ArrayBuffer>): Promise<number> {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(stream).arrayBuffer()).byteLength;
}
