/** Answers that break on their way, for all that stand in for an upstream. */
import { GARBAGE } from "./faults.ts";

/** The answer's head with a body of which only the first half arrives. */
export function halfAnswer(response: Response): Response {
  let sent = false;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (!sent) {
        sent = true;
        const half = firstHalf(new Uint8Array(await response.arrayBuffer()));
        // An error would discard what is queued, so it waits until the half has been read.
        if (half.length > 0) return controller.enqueue(half);
      }
      controller.error(new TypeError("error reading a body from connection"));
    },
  });
  const { status, statusText, headers } = response;
  return new Response(body, { status, statusText, headers });
}

/** The first half of a body's bytes. */
export function firstHalf(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return bytes.slice(0, Math.floor(bytes.length / 2));
}

/** The answer's head with a body that is no JSON. */
export function garbledAnswer(response: Response, body: string = GARBAGE): Response {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  headers.delete("content-length");
  return new Response(body, { status, statusText, headers });
}
