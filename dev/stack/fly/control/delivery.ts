/** What reaches the caller over the wire, and how `fetch` shows it. */
import { halfAnswer } from "../../broken-answers.ts";

/** What reaches the caller over the wire. */
export type Delivery =
  | { kind: "answer"; status: number; headers: Record<string, string>; body: string | null }
  /** The whole body is announced, half of it is sent, and the connection breaks. */
  | { kind: "half-answer"; status: number; headers: Record<string, string>; body: string }
  /** The connection is reset without a byte of an answer. */
  | { kind: "reset" };

/**
 * The delivery as `fetch` gives it.
 *
 * @throws {TypeError} for a reset connection, as Deno's `fetch` does.
 */
export function toResponse(delivery: Delivery, url: string): Response {
  if (delivery.kind === "reset") {
    throw new TypeError(
      `error sending request for url (${url}): client error (SendRequest): connection error: Connection reset by peer (os error 104)`,
    );
  }
  const { status, headers } = delivery;
  if (delivery.kind === "answer") return new Response(delivery.body, { status, headers });
  return halfAnswer(new Response(delivery.body, { status, headers }));
}
