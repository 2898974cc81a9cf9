/**
 * Prometheus' own checker, for tests. Debian and Ubuntu have it in the package `prometheus`.
 * https://prometheus.io/docs/prometheus/latest/command-line/promtool/
 */
const INSTALL = "promtool was not found: install Prometheus (Debian and Ubuntu: apt-get install " +
  "prometheus) or put promtool on the PATH";

const installed = await isInstalled();
const inCi = Deno.env.get("CI") === "true";
if (!installed && !inCi) {
  // deno-lint-ignore no-console -- the developer has to know what was not tested
  console.warn(`Tests with promtool are ignored. ${INSTALL}`);
}

export interface Promtool {
  success: boolean;
  /** Standard output and standard error. */
  output: string;
}

/** Like `Deno.test`; ignored without promtool, except in CI (`CI=true`), where it fails. */
export function promtoolTest(name: string, test: () => Promise<void>): void {
  Deno.test({
    name,
    ignore: !installed && !inCi,
    fn: () => installed ? test() : Promise.reject(new Error(INSTALL)),
  });
}

/** Runs promtool with `input` as its standard input. */
export async function promtool(args: string[], input = ""): Promise<Promtool> {
  const child = new Deno.Command("promtool", {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { success, output: [text(stdout), text(stderr)].filter((part) => part).join("\n") };
}

async function isInstalled(): Promise<boolean> {
  try {
    return (await promtool(["--version"])).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
