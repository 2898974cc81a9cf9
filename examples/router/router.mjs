// Sends each connection to its machine: checks the connect token and has Fly Proxy replay the
// request there (https://fly.io/docs/networking/dynamic-request-routing/). Keeps no state.
import { createHmac } from "node:crypto";
import { createServer } from "node:http";
import process from "node:process";
import { checkConnectToken, TokenRefused } from "./connect-token.mjs";

const { SHARED_APP, HOST = "0.0.0.0", PORT = "8080" } = process.env;
/** Trimmed, as the function reads it: a secret from a file often ends with a line break. */
const CONNECT_TOKEN_SECRET = (process.env.CONNECT_TOKEN_SECRET ?? "").trim();

if (CONNECT_TOKEN_SECRET.length < 32) {
  process.stderr.write(
    "CONNECT_TOKEN_SECRET is missing or shorter than 32 characters: it must be the function's " +
      "(fly secrets set CONNECT_TOKEN_SECRET=…).\n",
  );
  process.exit(1);
}

/** The key of one machine, the same that the machine itself has as CONNECT_KEY. */
function machineKey(machineId) {
  const hmac = createHmac("sha256", CONNECT_TOKEN_SECRET).update(`connect:${machineId}`);
  return hmac.digest("base64url");
}

/**
 * The value of `fly-replay` for a request. A machine knows its own key, so its user can sign any
 * claims for it: they lead to its own app, or to the app that all machines share, and nowhere else.
 */
async function destination(url, machineId) {
  const options = { machineId, key: machineKey(machineId) };
  const { app, machine } = await checkConnectToken(url, options);
  if (app !== machineId && !(SHARED_APP && app === SHARED_APP)) {
    throw new TokenRefused("its claim app is not accepted");
  }
  if (typeof machine !== "string" || !/^[a-z0-9]{1,32}$/.test(machine)) {
    throw new TokenRefused("its claim machine is not accepted");
  }
  // Not prefer_instance, which would lead to another machine when this one is unavailable.
  return `app=${app};instance=${machine}`;
}

/** Status, body and headers of the response to a request. */
async function respond({ method, url, headers }) {
  const [path] = url.split("?");
  if (path === "/health") return [200, { status: "pass" }];
  // Only a request that came here directly is replayed, so there are no loops.
  if (headers["fly-replay-src"] || headers["fly-replay-failed"]) {
    return [508, { error: "This request has been replayed already." }];
  }
  const machineId = /^\/([a-z0-9-]{1,63})$/.exec(path)?.[1];
  if (!machineId) return [404, { error: "The path is /{machineId}." }];
  if (method !== "GET") return [405, { error: "Use GET." }, { allow: "GET" }];
  try {
    // Without fly-replay-cache: a cached replay would skip this check.
    return [200, {}, { "fly-replay": await destination(url, machineId) }];
  } catch (error) {
    if (error instanceof TokenRefused) return [401, { error: error.message }];
    process.stderr.write(`${error.stack}\n`);
    return [500, { error: "The check failed." }];
  }
}

// There is no handler for upgrades: the machine upgrades the connection, not the router.
const server = createServer(async (request, response) => {
  const [status, body, headers] = await respond(request);
  const always = { "content-type": "application/json", "cache-control": "no-store" };
  response.writeHead(status, { ...always, ...headers });
  response.end(JSON.stringify(body) + "\n");
});

// Fly.io stops a machine with SIGINT.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(0), 4_000);
  });
}

server.listen(Number(PORT), HOST, () => {
  const event = { event: "listening", host: HOST, port: server.address().port };
  process.stdout.write(JSON.stringify(event) + "\n");
});
