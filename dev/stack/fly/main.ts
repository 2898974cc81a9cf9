/**
 * Starts the simulator from the command line:
 * `deno run -A dev/stack/fly/main.ts --port 4280 --app demo --token secret`
 */
import { parseArgs } from "node:util";
import { DEFAULT_TOKEN, FlySimulator } from "./control/simulator.ts";
import { serveFlySimulator } from "./serve/serve-api.ts";
import { serveFlyProxy } from "./proxy/fly-proxy.ts";
import { PROMPT_PROXY_SETTINGS } from "./proxy/settings.ts";

const HELP = `Options:
  --hostname NAME      0.0.0.0: containers may call the Machines API too (127.0.0.1)
  --port N             port of the Machines API (4280)
  --proxy-port N       port of Fly Proxy, in front of the Machines (4281)
  --slow-proxy         names and started Machines become known as late as at Fly.io
  --app NAME           an app that exists; may be repeated (demo)
  --token TOKEN        a token that is accepted; may be repeated (${DEFAULT_TOKEN})
  --start-delay-ms N   from create to started (300)
  --keep-alive         keep connections open between calls
`;

/** Reads a whole number from the command line. */
function number(name: string, text: string, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > max) {
    throw new RangeError(`--${name} must be a whole number from 0 to ${max}, not "${text}"`);
  }
  return value;
}

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      hostname: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "4280" },
      "proxy-port": { type: "string", default: "4281" },
      "slow-proxy": { type: "boolean", default: false },
      app: { type: "string", multiple: true, default: ["demo"] },
      token: { type: "string", multiple: true, default: [DEFAULT_TOKEN] },
      "start-delay-ms": { type: "string", default: "300" },
      "keep-alive": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const print = (text: string) => Deno.stdout.write(new TextEncoder().encode(text));
  if (values.help) {
    await print(HELP);
    return;
  }
  // Before anything is printed: a program that reads the addresses may send the signal at once.
  const stopped = Promise.withResolvers<void>();
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, stopped.resolve);
  }
  const simulator = new FlySimulator({
    apps: values.app,
    tokens: values.token,
    settings: { startDelayMs: number("start-delay-ms", values["start-delay-ms"], 3_600_000) },
  });
  const api = await serveFlySimulator(simulator, {
    hostname: values.hostname,
    port: number("port", values.port, 65535),
    keepAlive: values["keep-alive"],
  });
  const proxy = await serveFlyProxy(simulator, {
    port: number("proxy-port", values["proxy-port"], 65535),
    publicApps: values.app,
    settings: values["slow-proxy"] ? {} : PROMPT_PROXY_SETTINGS,
  });
  await print(`Fly.io Machines API simulator
  FLY_API_HOSTNAME=${api.url}
  FLY_APP_NAME=${values.app.join(" or ")}
  WEBSOCKET_URL_TEMPLATE=${proxy.websocketUrlTemplate}

Script a fault, here a create that takes effect and whose answer is lost:
  curl -X POST ${api.url}/_control/faults \\
    -d '{"match": {"action": "create"}, "do": {"kind": "reset", "when": "after"}}'
See what happened:
  curl ${api.url}/_control/state
  curl ${api.url}/_control/requests
`);
  await stopped.promise;
  await Promise.all([api.shutdown(), proxy.shutdown()]);
  // Signal listeners would keep the process alive.
  Deno.exit(0);
}

await main(Deno.args);
