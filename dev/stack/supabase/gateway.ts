/**
 * The one door to the stack, over a socket or in process: routes by path as the hosted gateway
 * does, records each request, applies the faults that a test asked for.
 */
import { type Fault, FaultScript, type RequestRecord, type Service } from "./faults.ts";
import type { FunctionsProxy } from "./functions-proxy.ts";
import type { LiteService } from "./lite-service.ts";
import { ConnectionReset } from "./listen.ts";

/** The oldest are forgotten beyond this, for a stack that runs for days. */
const MAX_REMEMBERED = 100_000;

/** How a request came in. */
export interface Caller {
  transport: RequestRecord["transport"];
  peerAddress: string | null;
}

/** Gateway of one stack. */
export class Gateway {
  readonly faults = new FaultScript();
  readonly requests: RequestRecord[] = [];
  readonly #lite: LiteService;
  readonly #functions: FunctionsProxy;
  readonly #closed = new AbortController();

  constructor(lite: LiteService, functions: FunctionsProxy) {
    this.#lite = lite;
    this.#functions = functions;
  }

  /** Ends what hangs or waits. */
  close(): void {
    this.#closed.abort(new ConnectionReset("the stack was closed"));
  }

  /** @throws ConnectionReset when the connection is to be cut instead of an answer */
  async handle(request: Request, caller: Caller): Promise<Response> {
    const record = describe(request, caller.transport);
    this.#remember(record);
    const fault = await this.faults.decide(record);
    const answer = () => this.#route(record.service, request, caller.peerAddress);
    const response = fault
      ? await this.#answerWith(fault, record, request, answer)
      : await answer();
    record.status = response.status;
    return response;
  }

  async #answerWith(
    fault: Fault,
    record: RequestRecord,
    request: Request,
    answer: () => Promise<Response>,
  ): Promise<Response> {
    record.fault = fault.kind;
    const interrupted = AbortSignal.any([request.signal, this.#closed.signal]);
    const response = await before(fault, record, interrupted) ?? await answer();
    await after(fault, response, interrupted);
    return response;
  }

  #remember(record: RequestRecord): void {
    this.requests.push(record);
    if (this.requests.length > MAX_REMEMBERED) this.requests.splice(0, MAX_REMEMBERED / 2);
  }

  #route(service: Service | null, request: Request, peer: string | null): Promise<Response> {
    switch (service) {
      case "auth":
      case "rest":
        return this.#lite.handle(request, peer);
      case "functions":
        return this.#functions.forward(request, peer);
      case null:
        return Promise.resolve(
          Response.json({ error: "requested path is invalid" }, { status: 404 }),
        );
    }
  }
}

function describe(request: Request, transport: RequestRecord["transport"]): RequestRecord {
  const path = new URL(request.url).pathname;
  const service = /^\/(auth|rest|functions)\/v1(?:\/|$)/.exec(path)?.[1];
  return {
    service: service === "auth" || service === "rest" || service === "functions" ? service : null,
    method: request.method,
    path,
    rpc: /^\/rest\/v1\/rpc\/([^/]+)$/.exec(path)?.[1] ?? null,
    transport,
    status: null,
    fault: null,
  };
}

async function before(
  fault: Fault,
  { service }: RequestRecord,
  interrupted: AbortSignal,
): Promise<Response | undefined> {
  switch (fault.kind) {
    case "reset-before":
      throw new ConnectionReset("reset by the test before the request");
    case "hang-before":
      return await hang(interrupted);
    case "status":
      return Response.json(fault.body ?? null, {
        status: fault.status,
        // The gateway's own errors about a function have no CORS headers.
        headers: {
          ...(service === "functions" ? {} : { "access-control-allow-origin": "*" }),
          ...fault.headers,
        },
      });
    case "delay":
      await settle("until" in fault ? fault.until : fault.ms, interrupted);
  }
}

async function after(fault: Fault, response: Response, interrupted: AbortSignal): Promise<void> {
  if (fault.kind !== "reset-after" && fault.kind !== "hang-after") return;
  // Only once the whole answer is there is the request known to be done.
  await response.body?.pipeTo(new WritableStream());
  if (fault.kind === "hang-after") await hang(interrupted);
  throw new ConnectionReset("reset by the test after the request");
}

/** Waits for milliseconds or a promise's end; throws ConnectionReset when interrupted. */
async function settle(wait: number | Promise<unknown>, interrupted: AbortSignal): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort: (() => void) | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      onAbort = () => reject(new ConnectionReset("the caller hung up or the stack was closed"));
      if (interrupted.aborted) onAbort();
      interrupted.addEventListener("abort", onAbort);
      const done = () => resolve();
      if (typeof wait === "number") timer = setTimeout(done, wait);
      else wait.then(done, done);
    });
  } finally {
    clearTimeout(timer);
    if (onAbort) interrupted.removeEventListener("abort", onAbort);
  }
}

/** Waits until interrupted. */
async function hang(interrupted: AbortSignal): Promise<never> {
  await settle(new Promise(() => {}), interrupted);
  throw new ConnectionReset("nothing more comes");
}
