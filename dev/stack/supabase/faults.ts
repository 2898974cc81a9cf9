/**
 * Faults that a test asks the gateway for, and the record of what went through it.
 */

/** The parts of the platform behind the gateway. */
export type Service = "auth" | "rest" | "functions";

/** One request that the gateway saw. */
export interface RequestRecord {
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
  fault: Fault["kind"] | null;
}

/** What can go wrong with one request. */
export type Fault =
  /** The connection is reset and the request never done. */
  | { kind: "reset-before" }
  /** The request is done, then the connection is reset: its answer is lost. */
  | { kind: "reset-after" }
  /** The request is never done nor answered, until the caller gives up or the stack closes. */
  | { kind: "hang-before" }
  /** The request is done and never answered, until the caller gives up or the stack closes. */
  | { kind: "hang-after" }
  /** This answer instead of the request being done. `body` is sent as JSON. */
  | { kind: "status"; status: number; body?: unknown; headers?: Record<string, string> }
  /** The request is done after this time, or once the promise settles. */
  | { kind: "delay"; ms: number }
  | { kind: "delay"; until: Promise<unknown> };

/** Sees each request before it is done; may return a fault for it. */
export type RequestHook = (
  request: Readonly<RequestRecord>,
) => Fault | undefined | void | Promise<Fault | undefined | void>;

/** A fault for the requests that match every given field. */
export interface FaultRule {
  service?: Service;
  method?: string;
  path?: string | RegExp;
  rpc?: string;
  transport?: RequestRecord["transport"];
  fault: Fault;
  /** How many matching requests to let pass first. Default 0. */
  skip?: number;
  /** How many matching requests get the fault. Default 1; `Infinity` until removed. */
  times?: number;
}

/** Services that cannot be reached. */
export interface Outage {
  /** Default: auth and rest, as when the database is down. */
  services?: Service[];
  /** How it shows. Default `{ kind: "reset-before" }`. */
  fault?: Fault;
}

/** Decides which fault a request gets: outage first, then rules in order, then hooks. */
export class FaultScript {
  #outage: Outage | null = null;
  readonly #rules = new Set<{ rule: FaultRule; seen: number }>();
  readonly #hooks = new Set<RequestHook>();

  setOutage(outage: boolean | Outage): void {
    this.#outage = outage === true ? {} : outage === false ? null : outage;
  }

  /** @returns takes the rule away again */
  add(rule: FaultRule): () => void {
    const entry = { rule, seen: 0 };
    this.#rules.add(entry);
    return () => void this.#rules.delete(entry);
  }

  /** @returns takes the hook away again */
  addHook(hook: RequestHook): () => void {
    this.#hooks.add(hook);
    return () => void this.#hooks.delete(hook);
  }

  clear(): void {
    this.#outage = null;
    this.#rules.clear();
    this.#hooks.clear();
  }

  async decide(request: RequestRecord): Promise<Fault | undefined> {
    const fromHooks: Fault[] = [];
    for (const hook of this.#hooks) {
      const fault = await hook(request);
      if (fault) fromHooks.push(fault);
    }
    return this.#fromOutage(request) ?? this.#fromRules(request) ?? fromHooks[0];
  }

  #fromOutage({ service }: RequestRecord): Fault | undefined {
    if (this.#outage === null || service === null) return undefined;
    const { services = ["auth", "rest"], fault = { kind: "reset-before" } } = this.#outage;
    return services.includes(service) ? fault : undefined;
  }

  #fromRules(request: RequestRecord): Fault | undefined {
    let chosen: Fault | undefined;
    for (const entry of this.#rules) {
      if (!matches(entry.rule, request)) continue;
      const { skip = 0, times = 1, fault } = entry.rule;
      const position = entry.seen++;
      if (chosen === undefined && position >= skip && position < skip + times) chosen = fault;
    }
    return chosen;
  }
}

/** Whether a request has each field that the filter gives. */
export function matches(
  filter: Partial<Omit<FaultRule, "fault" | "skip" | "times">>,
  request: RequestRecord,
): boolean {
  return (filter.service === undefined || filter.service === request.service) &&
    (filter.method === undefined || filter.method === request.method) &&
    (filter.rpc === undefined || filter.rpc === request.rpc) &&
    (filter.transport === undefined || filter.transport === request.transport) &&
    (filter.path === undefined ||
      (filter.path instanceof RegExp
        ? filter.path.test(request.path)
        : filter.path === request.path));
}
