/**
 * Builds the console's static files.
 *
 * ```sh
 * deno task console:build --supabase-url https://abc.supabase.co --publishable-key sb_publishable_…
 * ```
 *
 * writes them to console/dist, ready to be put on any static host: index.html with its
 * Content-Security-Policy, the scripts, config.json, and `_headers` for the hosts that read it
 * (Netlify, Cloudflare Pages). `config.json` can be changed afterwards; the policy in index.html and
 * `_headers` names the same addresses and must be changed with it.
 */
import { bundleForBrowsers, gzippedSize } from "../dev/bundle.ts";
import { type CommandLine, runCommand } from "./command-line.ts";
import { metaContentSecurityPolicy, securityHeaders } from "./content-security-policy.ts";
import type { ConsoleConfig } from "./page/config.ts";

const HERE = new URL("./", import.meta.url);
const STYLES = [
  "1-base",
  "2-layout",
  "3-user",
  "4-machine",
  "5-timeline",
  "6-terminal",
  "7-operator",
  "8-charts",
  "9-lists",
];
const POLICY_PLACEHOLDER = "{{content-security-policy}}";

/** Content of each file by its name. */
export type Files = Map<string, Uint8Array<ArrayBuffer>>;

/**
 * Bundles the scripts and puts the rest beside them.
 *
 * @throws Error with the bundler's message when the scripts cannot be bundled
 */
export async function buildConsole(config: ConsoleConfig): Promise<Files> {
  const files: Files = new Map();
  const encoder = new TextEncoder();
  const scripts = await bundleForBrowsers([new URL("page/main.ts", HERE)]);
  for (const [name, content] of scripts) files.set(name, content);
  const styles = await Promise.all(
    STYLES.map((name) => Deno.readTextFile(new URL(`styles/${name}.css`, HERE))),
  );
  files.set("console.css", encoder.encode(styles.join("\n")));
  files.set("icon.svg", await Deno.readFile(new URL("icon.svg", HERE)));
  files.set("config.json", encoder.encode(JSON.stringify(config, null, 2) + "\n"));
  const index = await Deno.readTextFile(new URL("index.html", HERE));
  if (!index.includes(POLICY_PLACEHOLDER)) {
    throw new Error(`console/index.html has no ${POLICY_PLACEHOLDER}`);
  }
  const page = index.replace(POLICY_PLACEHOLDER, metaContentSecurityPolicy(config));
  files.set("index.html", encoder.encode(page));
  return files;
}

/** `_headers` as Netlify and Cloudflare Pages read it. */
function headersFile(config: ConsoleConfig): string {
  const lines = Object.entries(securityHeaders(config)).map(([name, value]) =>
    `  ${name}: ${value}`
  );
  return ["/*", ...lines, ""].join("\n");
}

async function main({ config }: CommandLine): Promise<void> {
  const dist = new URL("dist/", HERE);
  const files = await buildConsole(config);
  files.set("_headers", new TextEncoder().encode(headersFile(config)));
  await Deno.remove(dist, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.mkdir(dist);
  for (const [name, content] of files) {
    await Deno.writeFile(new URL(name, dist), content);
    const size = `${(await gzippedSize(content) / 1_000).toFixed(1)} kB gzipped`;
    await Deno.stdout.write(new TextEncoder().encode(`console/dist/${name}  ${size}\n`));
  }
}

if (import.meta.main) await runCommand(main);
