/** Joins a client and a Machine once a connection is upgraded: bytes pass through untouched. */
import type { Duplex } from "node:stream";
import type { Connection } from "./connections.ts";
import { closeFrame, FrameBoundary } from "./frames.ts";

/** "Going away". That the proxy sends a close frame is recorded, its code is not. */
const SENT_AWAY = closeFrame(1001, "");

export interface Splice extends Connection {
  /** Resolves when both ends are closed. */
  ended: Promise<void>;
}

/** Passes bytes both ways until either end closes. */
export function splice(client: Duplex, machine: Duplex): Splice {
  const frames = new FrameBoundary();
  const ended = Promise.withResolvers<void>();
  let sendingAway = false;
  let open = 2;
  const leave = () => {
    if (!sendingAway || !frames.isBetweenFrames) return;
    client.end(SENT_AWAY);
    machine.destroy();
  };
  const closed = (other: Duplex) => () => {
    other.end();
    open -= 1;
    if (open === 0) ended.resolve();
  };
  client.on("close", closed(machine));
  machine.on("close", closed(client));
  for (const end of [client, machine]) end.on("error", () => end.destroy());
  machine.on("data", (chunk: Uint8Array) => {
    frames.push(chunk);
    if (!client.writableEnded && !client.write(chunk)) {
      machine.pause();
      client.once("drain", () => machine.resume());
    }
    leave();
  });
  client.on("data", (chunk: Uint8Array) => {
    if (!machine.writableEnded && !machine.write(chunk)) {
      client.pause();
      machine.once("drain", () => client.resume());
    }
  });
  client.on("end", () => machine.end());
  machine.on("end", () => client.end());
  return {
    ended: ended.promise,
    cut() {
      client.destroy();
      machine.destroy();
    },
    sendAway() {
      sendingAway = true;
      leave();
    },
  };
}
