/** Where a fault is applied to a request: before it is done, or to its answer. */
import { garbledAnswer, halfAnswer } from "../broken-answers.ts";
import { ConnectionReset } from "./listen.ts";
import type { GatewayRequest, SupabaseFault } from "./request-faults.ts";

/**
 * Answers a request with the fault that it meets.
 *
 * @param perform Has the request done. It is not called when the fault prevents that.
 * @param closed Aborted when the stack closes.
 * @throws ConnectionReset when the connection is to be cut instead of an answer
 */
export async function applyFault(
  fault: SupabaseFault,
  { service }: GatewayRequest,
  request: Request,
  perform: (request: Request) => Promise<Response>,
  closed: AbortSignal,
): Promise<Response> {
  const callerOrClosed = AbortSignal.any([request.signal, closed]);
  switch (fault.kind) {
    case "reset":
      if (fault.when === "after") await finished(perform(request));
      throw new ConnectionReset(`reset by the test ${fault.when} the request was done`);
    case "hang":
      if (fault.when === "after") await finished(perform(request));
      return await settled(new Promise<never>(() => {}), callerOrClosed);
    case "status":
      if (fault.effect) await finished(perform(request));
      return statusAnswer(fault, service);
    case "half-answer":
      return halfAnswer(await perform(request));
    case "garbage":
      return garbledAnswer(await perform(request), fault.body);
    case "hold":
      await settled(fault.until, callerOrClosed);
      return await perform(request);
    case "delay": {
      if (fault.when === "before") {
        // The caller may leave meanwhile; the request is done even so.
        const detached = await withoutCaller(request);
        await elapsed(fault.ms, closed);
        return await perform(detached);
      }
      const response = await perform(request);
      await elapsed(fault.ms, closed);
      return response;
    }
  }
}

function statusAnswer(
  { status, body, headers }: Extract<SupabaseFault, { kind: "status" }>,
  service: GatewayRequest["service"],
): Response {
  // The gateway's own errors about a function have no CORS headers.
  const cors = service === "functions" ? {} : { "access-control-allow-origin": "*" };
  return typeof body === "string"
    ? new Response(body, { status, headers: { ...cors, ...headers } })
    : Response.json(body ?? null, { status, headers: { ...cors, ...headers } });
}

/** Only once the whole answer is there is the request known to be done. */
async function finished(answer: Promise<Response>): Promise<void> {
  await (await answer).body?.pipeTo(new WritableStream());
}

async function withoutCaller(request: Request): Promise<Request> {
  const { method, headers } = request;
  const body = request.body === null ? null : await request.arrayBuffer();
  return new Request(request.url, { method, headers, body });
}

async function elapsed(ms: number, closed: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const time = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    await settled(time, closed);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits for a promise's end; throws ConnectionReset when interrupted. */
async function settled<T>(wait: Promise<T>, interrupted: AbortSignal): Promise<T> {
  const { promise: broken, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(new ConnectionReset("the caller hung up or the stack was closed"));
  if (interrupted.aborted) onAbort();
  interrupted.addEventListener("abort", onAbort);
  try {
    return await Promise.race([wait, broken]);
  } finally {
    interrupted.removeEventListener("abort", onAbort);
  }
}
