/** The record of every call to the API. */
import { authorizationScheme } from "../api/authorization.ts";
import type { Route } from "../api/routes.ts";
import type { FlyRequestRecord } from "../world/types.ts";

/** Every call to the API, in order of arrival. The `Authorization` header's value is never kept. */
export class CallLog {
  #records: FlyRequestRecord[] = [];
  #count = 0;

  /** Records a call that has just arrived; the caller fills in the rest as it becomes known. */
  open(request: Request, route: Route, requestId: string, atMs: number): FlyRequestRecord {
    const url = new URL(request.url);
    const record: FlyRequestRecord = {
      number: ++this.#count,
      atMs,
      method: request.method,
      path: url.pathname + url.search,
      action: route.action,
      app: route.app,
      machineId: route.machineId,
      machineName: null,
      requestId,
      status: null,
      tookEffect: false,
      faults: [],
      clientLeft: false,
      authorizationScheme: authorizationScheme(request.headers.get("authorization")),
      traceparent: request.headers.get("traceparent"),
      userAgent: request.headers.get("user-agent"),
      durationMs: null,
    };
    this.#records.push(record);
    return record;
  }

  records(): FlyRequestRecord[] {
    return structuredClone(this.#records);
  }

  clear(): void {
    this.#records = [];
    this.#count = 0;
  }
}
