/**
 * Supabase and Fly.io as a benchmark needs them: they answer what a success needs, each call after
 * exactly the configured latency. A process of its own, so that the CPU time of the server
 * under measurement is all its own.
 *
 * Environment: `JWK` (public key of the users' tokens), `DATABASE_MS`, `FLY_MS`.
 * `GET /_counts` answers the number of calls by kind since the last time.
 */
import { answerOf } from "./upstream-answers.ts";

const databaseMs = Number(Deno.env.get("DATABASE_MS") ?? 5);
const flyMs = Number(Deno.env.get("FLY_MS") ?? 50);
const jwk = JSON.parse(Deno.env.get("JWK") ?? "{}");
let counts: Record<string, number> = {};

Deno.serve(async (request) => {
  if (new URL(request.url).pathname === "/_counts") {
    const answer = counts;
    counts = {};
    return Response.json(answer);
  }
  const { service, kind, response } = await answerOf(request, jwk);
  counts[kind] = (counts[kind] ?? 0) + 1;
  const latencyMs = service === "fly" ? flyMs : databaseMs;
  if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
  return response;
});
