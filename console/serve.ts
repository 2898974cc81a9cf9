/**
 * Serves the console on 127.0.0.1, built in memory.
 *
 * ```ts
 * const page = await serveConsole({ config: { supabaseUrl: supabase.url, publishableKey } });
 * console.log(page.url);
 * await page.close();
 * ```
 *
 * As a command it serves the console for any project:
 * `deno task console --supabase-url https://abc.supabase.co --publishable-key sb_publishable_…`
 */
import { buildConsole, type Files } from "./build.ts";
import { type CommandLine, runCommand } from "./command-line.ts";
import { securityHeaders } from "./content-security-policy.ts";
import { OPERATOR_PATH, proxyOperator } from "./operator-proxy.ts";
import { type ConsoleConfig, type ConsoleConfigInput, parseConfig } from "./page/config.ts";

const SOURCES = ["../client", "operator", "page", "styles", "index.html"];
/**
 * Another name is another site's, made to lead here so that its page is of this origin (DNS
 * rebinding). Any port: tunnels have their own.
 */
const LOOPBACK = ["127.0.0.1", "localhost", "[::1]"];
const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  svg: "image/svg+xml",
};

export interface ServeConsoleOptions {
  /** Where the project is. `operatorUrl` is this server's own unless it is given. */
  config: ConsoleConfigInput;
  /** 0, the default, takes any free port. */
  port?: number;
  /** Build again when the sources change. */
  watch?: boolean;
}

export interface ServedConsole {
  /** `http://127.0.0.1:PORT/` */
  url: string;
  port: number;
  close(): Promise<void>;
}

/**
 * Builds, then serves.
 *
 * @throws Error when the configuration is not valid, the scripts cannot be bundled or the port is
 *   taken
 */
export async function serveConsole(options: ServeConsoleOptions): Promise<ServedConsole> {
  const config = parseConfig({ operatorUrl: OPERATOR_PATH, ...options.config });
  let files = buildConsole(config);
  await files;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: options.port ?? 0, onListen: () => {} },
    async (request) => protect(await answer(request, () => files, config), config),
  );
  const watcher = options.watch
    ? rebuildOnChange(() => {
      // A failed build is reported by the next request for the page, and repaired by the next change.
      files = buildConsole(config);
      files.catch(() => {});
    })
    : undefined;
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    port: server.addr.port,
    async close() {
      watcher?.close();
      await server.shutdown();
    },
  };
}

async function answer(
  request: Request,
  files: () => Promise<Files>,
  config: ConsoleConfig,
): Promise<Response> {
  const host = request.headers.get("host") ?? "";
  if (!URL.canParse(`http://${host}`) || !URL.canParse(request.url)) {
    return new Response("the Host header is not one\n", { status: 400 });
  }
  if (!LOOPBACK.includes(new URL(`http://${host}`).hostname)) {
    return new Response(`this is not ${host}: open http://127.0.0.1\n`, { status: 421 });
  }
  const { pathname } = new URL(request.url);
  if (pathname.startsWith(`${OPERATOR_PATH}/`)) return await proxyOperator(request, config);
  try {
    return serveFile(await files(), request.method, pathname);
  } catch (error) {
    return new Response(`${error instanceof Error ? error.message : error}\n`, { status: 500 });
  }
}

/** Every response is of this origin, so each has all headers, whatever it says. */
function protect(response: Response, config: ConsoleConfig): Response {
  for (const [name, value] of Object.entries(securityHeaders(config))) {
    response.headers.set(name, value);
  }
  return response;
}

function serveFile(files: Files, method: string, pathname: string): Response {
  const name = pathname === "/" ? "index.html" : pathname.slice(1);
  const content = files.get(name);
  if (content === undefined) return new Response("not found\n", { status: 404 });
  if (method !== "GET" && method !== "HEAD") {
    return new Response("only GET\n", { status: 405, headers: { allow: "GET, HEAD" } });
  }
  return new Response(method === "HEAD" ? null : content, {
    headers: {
      "content-type": TYPES[name.split(".").at(-1) ?? ""] ?? "application/octet-stream",
      "cache-control": "no-store",
    },
  });
}

function rebuildOnChange(rebuild: () => void): Deno.FsWatcher {
  const paths = SOURCES.map((name) => new URL(name, import.meta.url).pathname);
  const watcher = Deno.watchFs(paths);
  void (async () => {
    for await (const { kind } of watcher) {
      if (kind !== "access") rebuild();
    }
  })();
  return watcher;
}

async function main(commandLine: CommandLine): Promise<void> {
  const { url } = await serveConsole({ ...commandLine, watch: true });
  await Deno.stdout.write(new TextEncoder().encode(`The console is at ${url}\n`));
}

if (import.meta.main) await runCommand(main);
