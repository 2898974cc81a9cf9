// Where a WebSocket arrives: at the machine that it is for, at another one, or nowhere.
import { z } from "zod";
import { sightSchema } from "../../dev/stack/fly/serve/programs/hostile.ts";

const SILENT_AFTER_MS = 30_000;

const greetingSchema = z.union([
  z.object({ machineId: z.string(), userId: z.string() }),
  sightSchema,
]);

export type Arrival =
  /** The id that the machine gave itself: `machine_id`, or of a hostile image Fly.io's id. */
  | { kind: "machine"; id: string }
  /** A machine or the router answered 401. */
  | { kind: "refused" }
  | { kind: "error"; reason: string };

/** Connects, waits for the greeting and closes the connection. Never rejects. */
export async function arrivalOf(url: string): Promise<Arrival> {
  const socket = new WebSocket(url);
  const closed = new Promise<void>((resolve) => socket.addEventListener("close", () => resolve()));
  let timer: ReturnType<typeof setTimeout> | undefined;
  const arrival = await new Promise<Arrival>((resolve) => {
    const failed = (reason: string) => resolve({ kind: "error", reason });
    timer = setTimeout(() => failed(`silent for ${SILENT_AFTER_MS} ms`), SILENT_AFTER_MS);
    socket.addEventListener("message", ({ data }) => resolve(greeted(String(data))));
    socket.addEventListener("error", (event) => {
      const reason = event instanceof ErrorEvent ? event.message : "cannot connect";
      if (/\b401\b/.test(reason)) resolve({ kind: "refused" });
      else failed(reason);
    });
    socket.addEventListener("close", ({ code }) => failed(`closed with ${code}, not greeted`));
  });
  clearTimeout(timer);
  socket.close();
  await closed;
  return arrival;
}

function greeted(text: string): Arrival {
  const greeting = greetingSchema.safeParse(JSON.parse(text)).data;
  if (greeting === undefined) return { kind: "error", reason: `greeted with ${text}` };
  return { kind: "machine", id: "hostile" in greeting ? greeting.hostile : greeting.machineId };
}
