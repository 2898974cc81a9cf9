// A machine of one user: a WebSocket server that admits only holders of a token for this machine.
// Copy the folder and put your own work where `work` is.
import { Buffer } from "node:buffer";
import { createServer } from "node:http";
import process from "node:process";
import { WebSocketServer } from "ws";
import { checkConnectToken, TokenRefused } from "./connect-token.mjs";
import { Sessions } from "./sessions.mjs";

const { MACHINE_ID, CONNECT_KEY, HOST = "0.0.0.0", PORT = "8080" } = process.env;
/** Fly Proxy's time-out for idle connections is not published, and a client may vanish silently. */
const PING_SECONDS = Number(process.env.PING_SECONDS ?? 25);
/** Fly.io kills a machine 5 seconds after its signal. */
const STOP_WITHIN_MS = 4_000;
const MAX_MESSAGE_BYTES = 64 * 1024;
const MAX_REMEMBERED_IDS = 10_000;

if (!MACHINE_ID) fail("MACHINE_ID is missing: provision-machine sets it on every machine");
if (!/^[\w-]{43}$/.test(CONNECT_KEY ?? "")) {
  fail(
    "CONNECT_KEY is missing or malformed: provision-machine sets it once CONNECT_TOKEN_SECRET is set",
  );
}

/** Pooled machines start without a user: the first one who connects keeps the machine. */
let owner = process.env.USER_ID || undefined;
/** Ids of the messages that were processed, oldest first. */
const processed = new Set();
const sessions = new Sessions();

/** Your own program. What it returns is sent to the client. */
function work(text) {
  return text;
}

function receive(client, data) {
  const { id, text, seen } = parse(data);
  if (client.session && Number.isSafeInteger(seen)) return client.session.confirm(seen);
  const valid = typeof id === "string" && id.length >= 1 && id.length <= 64;
  if (!valid || typeof text !== "string") {
    return send(client, { error: 'A message is JSON: { "id": 1 to 64 characters, "text": … }' });
  }
  // A client that lost the connection before the acknowledgement sends its message again.
  if (!processed.has(id)) {
    processed.add(id);
    if (processed.size > MAX_REMEMBERED_IDS) processed.delete(processed.values().next().value);
    const result = work(text);
    if (client.session) client.session.send(result);
    else send(client, { echo: result, id });
  }
  send(client, { ack: id });
}

function parse(data) {
  try {
    return JSON.parse(data.toString()) ?? {};
  } catch {
    return {};
  }
}

function send(client, message) {
  client.send(JSON.stringify(message));
}

const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });

const server = createServer((request, response) => {
  const healthy = request.url === "/health" && request.method === "GET";
  response.writeHead(healthy ? 200 : 426, { "content-type": "application/json" });
  response.end(healthy ? '{"status":"pass"}\n' : '{"error":"Connect with a WebSocket."}\n');
});

server.on("upgrade", async (request, socket, head) => {
  socket.on("error", () => socket.destroy());
  try {
    const options = { machineId: MACHINE_ID, key: CONNECT_KEY };
    const { sub: userId } = await checkConnectToken(request.url, options);
    owner ??= userId;
    if (userId !== owner) throw new TokenRefused("this machine belongs to another user");
    sockets.handleUpgrade(request, socket, head, (client) => serve(client, userId, request.url));
  } catch (error) {
    if (!(error instanceof TokenRefused)) log({ event: "error", stack: error.stack });
    refuse(socket, error instanceof TokenRefused ? error.message : "The check failed.");
  }
});

function serve(client, userId, url) {
  log({ event: "connected", userId });
  client.responds = true;
  client.on("pong", () => client.responds = true);
  client.on("error", (error) => log({ event: "error", message: error.message }));
  client.on("close", (code) => log({ event: "disconnected", userId, code }));
  client.on("message", (data) => receive(client, data));
  const opened = sessions.open(url);
  if (!opened) return send(client, { machineId: MACHINE_ID, userId });
  const { session, resumed } = opened;
  client.session = session;
  send(client, { machineId: MACHINE_ID, userId, session: session.id, resumed });
  session.attach((message) => send(client, message));
}

function refuse(socket, error) {
  const body = JSON.stringify({ error }) + "\n";
  socket.once("finish", () => socket.destroy());
  socket.end(
    "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Type: application/json\r\n" +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

setInterval(() => {
  for (const client of sockets.clients) {
    if (!client.responds) client.terminate();
    client.responds = false;
    client.ping();
  }
}, PING_SECONDS * 1000).unref();

// Fly.io stops a machine with SIGINT.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    log({ event: "stopping", signal });
    for (const client of sockets.clients) client.close(1001, "The machine is stopping.");
    server.close(() => process.exit(0));
    setTimeout(() => process.exit(0), STOP_WITHIN_MS);
  });
}

server.listen(Number(PORT), HOST, () => {
  log({ event: "listening", host: HOST, port: server.address().port, machineId: MACHINE_ID });
});

/** One line of JSON. Never a request's URL: it contains the token. */
function log(event) {
  process.stdout.write(JSON.stringify({ time: new Date().toISOString(), ...event }) + "\n");
}

function fail(message) {
  process.stderr.write(`${message}.\n`);
  process.exit(1);
}
