/** What reaches the caller over the wire. */
export type Delivery =
  | { kind: "answer"; status: number; headers: Record<string, string>; body: string | null }
  /** The whole body is announced, half of it is sent, and the connection breaks. */
  | { kind: "cut"; status: number; headers: Record<string, string>; body: string }
  /** The connection is reset without a byte of an answer. */
  | { kind: "reset" };

/** The bytes of a body's first half. */
export function firstHalf(body: string): Uint8Array<ArrayBuffer> {
  const bytes = new TextEncoder().encode(body);
  return bytes.slice(0, Math.floor(bytes.length / 2));
}

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
  const half = firstHalf(delivery.body);
  let sent = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (sent || half.length === 0) {
        controller.error(new TypeError("error reading a body from connection"));
      } else {
        sent = true;
        controller.enqueue(half);
      }
    },
  });
  return new Response(body, { status, headers });
}
