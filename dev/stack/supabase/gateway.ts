/**
 * The one door to the stack, over a socket or in process: routes by path as the hosted gateway
 * does, records each request, applies the faults that a test asked for.
 */
import { applyFault } from "./apply-faults.ts";
import type { FunctionsProxy } from "./functions-proxy.ts";
import type { StackKeys } from "./keys.ts";
import type { LiteService } from "./lite-service.ts";
import { ConnectionReset } from "./listen.ts";
import { type GatewayRequest, RequestFaults, type Service } from "./request-faults.ts";

/** The oldest are forgotten beyond this, for a stack that runs for days. */
const MAX_REMEMBERED = 100_000;

/** How a request came in. */
export interface RequestSource {
  transport: GatewayRequest["transport"];
  peerAddress: string | null;
}

/** Gateway of one stack. */
export class Gateway {
  readonly faults = new RequestFaults();
  readonly requests: GatewayRequest[] = [];
  readonly #lite: LiteService;
  readonly #functions: FunctionsProxy;
  readonly #closed = new AbortController();
  readonly #legacyKeys: readonly string[];
  #legacyKeysDisabledAt: string | null = null;

  constructor(lite: LiteService, functions: FunctionsProxy, keys: StackKeys) {
    this.#lite = lite;
    this.#functions = functions;
    this.#legacyKeys = [keys.anonKey, keys.serviceRoleKey];
  }

  /** Both together, as the dashboard does it. https://supabase.com/docs/guides/api/api-keys */
  setLegacyKeys(enabled: boolean): void {
    this.#legacyKeysDisabledAt = enabled ? null : new Date().toISOString();
  }

  /** Ends what hangs or waits. */
  close(): void {
    this.#closed.abort(new ConnectionReset("the stack was closed"));
  }

  /** @throws ConnectionReset when the connection is to be cut instead of an answer */
  async handle(request: Request, caller: RequestSource): Promise<Response> {
    const record = describe(request, caller.transport);
    this.#remember(record);
    const fault = await this.faults.decide(record);
    record.fault = fault?.kind ?? null;
    const perform = (request: Request) => this.#route(record.service, request, caller.peerAddress);
    const response = fault
      ? await applyFault(fault, record, request, perform, this.#closed.signal)
      : await perform(request);
    record.status = response.status;
    return response;
  }

  #remember(record: GatewayRequest): void {
    this.requests.push(record);
    if (this.requests.length > MAX_REMEMBERED) this.requests.splice(0, MAX_REMEMBERED / 2);
  }

  #route(service: Service | null, request: Request, peer: string | null): Promise<Response> {
    switch (service) {
      case "auth":
      case "rest":
        if (this.#isDisabled(request.headers.get("apikey"))) {
          return Promise.resolve(this.#disabled());
        }
        return this.#lite.handle(request, peer);
      case "functions":
        return this.#functions.forward(request, peer);
      case null:
        return Promise.resolve(
          Response.json({ error: "requested path is invalid" }, { status: 404 }),
        );
    }
  }

  /**
   * Disabled, a legacy key is refused as `apikey` alone: its signature stays valid, so as Bearer beside
   * another key it goes on. https://supabase.com/docs/guides/api/api-keys
   */
  #isDisabled(apikey: string | null): boolean {
    return this.#legacyKeysDisabledAt !== null && this.#legacyKeys.includes(apikey ?? "");
  }

  /** As quoted in https://github.com/dyad-sh/dyad/pull/4173. */
  #disabled(): Response {
    return Response.json({
      message: "Legacy API keys are disabled",
      hint:
        `Your legacy API keys (anon, service_role) were disabled on ${this.#legacyKeysDisabledAt}. Re-enable them in the Supabase dashboard, or use the new publishable and secret API keys.`,
    }, { status: 401 });
  }
}

function describe(request: Request, transport: GatewayRequest["transport"]): GatewayRequest {
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
