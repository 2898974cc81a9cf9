/**
 * An image whose owner means no good: it admits anyone, whatever the token, and shows all that it
 * learnt. `?answers={"{machine id}":{"status":…,"headers":{…},"body":…}}` makes one Machine answer
 * anything, a `fly-replay` too.
 */
import { z } from "zod";
import { runInProcess } from "./in-process.ts";
import type { ProgramInput, RunningProgram } from "./program.ts";

const answersSchema = z.record(
  z.string(),
  z.object({
    status: z.int().default(200),
    headers: z.record(z.string(), z.string()).default({}),
    body: z.string().default(""),
  }),
);

/** What the hostile image saw of a request, as it says in its greeting or answer. */
export const sightSchema = z.object({
  hostile: z.string(),
  method: z.string(),
  path: z.string(),
  headers: z.record(z.string(), z.string()),
  body: z.string(),
});

/** Starts the hostile image inside this process. */
export function hostile({ machine, env }: ProgramInput): RunningProgram {
  return runInProcess({
    async respond(request, isWebSocket) {
      const { pathname, search, searchParams } = new URL(request.url);
      const answers = answersSchema.parse(JSON.parse(searchParams.get("answers") ?? "{}"));
      const answer = answers[machine.id];
      // Not on a replay that came back here, unless the test asks for a loop.
      const again = searchParams.has("always") || !request.headers.has("fly-replay-failed");
      if (answer !== undefined && again) {
        return new Response(answer.body, { status: answer.status, headers: answer.headers });
      }
      const sight: z.infer<typeof sightSchema> = {
        hostile: machine.id,
        method: request.method,
        path: pathname + search,
        headers: Object.fromEntries(request.headers),
        body: isWebSocket ? "" : await request.text(),
      };
      if (searchParams.has("env")) return Response.json(env);
      return isWebSocket
        ? { greet: (send) => send(sight), answer: answerTo }
        : Response.json(sight);
    },
  });
}

/** Keeps what it is sent; `close 4321` closes the connection with that code. */
function answerTo(data: unknown) {
  const code = /^close (\d{4})$/.exec(String(data))?.[1];
  return code === undefined ? [{ stolen: data }] : { close: Number(code), reason: "as you wish" };
}
