/** Which request to the gateway meets which fault, and the record of what went through it. */
import { type CallFault, FaultList, type FaultRule } from "../faults.ts";

/** The parts of the platform behind the gateway. */
export type Service = "auth" | "rest" | "functions";

/** One request that the gateway saw. */
export interface GatewayRequest {
  /** `null` for a path that belongs to no service. */
  service: Service | null;
  method: string;
  path: string;
  /** Name of the database function, for `/rest/v1/rpc/<name>`. */
  rpc: string | null;
  /** `in-process`: through `LocalSupabase.fetch` or a client of it; `http`: over a socket. */
  transport: "in-process" | "http";
  /** Status that was answered; `null` while it is under way and when no answer went out. */
  status: number | null;
  /** The fault that was applied. */
  fault: SupabaseFault["kind"] | null;
}

/** The fields of a request that it can be chosen by; `path` may have `*` for any characters. */
export type RequestMatch = Partial<
  Pick<GatewayRequest, "method" | "path" | "transport"> & { service: Service; rpc: string }
>;

/**
 * What can go wrong with one request. `hold` is for tests in process: the request is done once the
 * promise settles, unless its caller has left by then.
 */
export type SupabaseFault = CallFault | { kind: "hold"; until: Promise<unknown> };

/** A fault and the requests that meet it. */
export type SupabaseFaultRule = FaultRule<RequestMatch, SupabaseFault>;

/** Sees each request before it is done; may return a fault for it. */
export type RequestHook = (
  request: Readonly<GatewayRequest>,
) => SupabaseFault | undefined | void | Promise<SupabaseFault | undefined | void>;

/** Services that cannot be reached. */
export interface Outage {
  /** Default: auth and rest, as when the database is down. */
  services?: Service[];
  /** How it shows. Default: connections are reset before the request is done. */
  fault?: SupabaseFault;
}

/** Decides which fault a request meets, one at most: outage first, then rules in order, then hooks. */
export class RequestFaults {
  #outage: Outage | null = null;
  readonly #rules = new FaultList<RequestMatch, SupabaseFault>();
  readonly #hooks = new Set<RequestHook>();

  setOutage(outage: boolean | Outage): void {
    this.#outage = outage === true ? {} : outage === false ? null : outage;
  }

  /** @returns removes the rule again */
  add(rule: SupabaseFaultRule): () => void {
    const id = this.#rules.add(rule);
    return () => this.#rules.remove(id);
  }

  /** @returns removes the hook again */
  addHook(hook: RequestHook): () => void {
    this.#hooks.add(hook);
    return () => void this.#hooks.delete(hook);
  }

  clear(): void {
    this.#outage = null;
    this.#rules.clear();
    this.#hooks.clear();
  }

  async decide(request: GatewayRequest): Promise<SupabaseFault | undefined> {
    const fromHooks: SupabaseFault[] = [];
    for (const hook of this.#hooks) {
      const fault = await hook(request);
      if (fault) fromHooks.push(fault);
    }
    const [fromRules] = this.#rules.take(request, () => "one");
    return this.#fromOutage(request) ?? fromRules ?? fromHooks[0];
  }

  #fromOutage({ service }: GatewayRequest): SupabaseFault | undefined {
    if (this.#outage === null || service === null) return undefined;
    const { services = ["auth", "rest"], fault = { kind: "reset", when: "before" } } = this.#outage;
    return services.includes(service) ? fault : undefined;
  }
}
