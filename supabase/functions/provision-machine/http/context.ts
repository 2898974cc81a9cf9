/** What the parts of a request pass on: from its start to its handler. */
import type { Caller } from "../auth/credentials.ts";
import type { Environment } from "../config/environment.ts";
import type { Database } from "../database/database.ts";
import type { Isolate } from "../isolate.ts";
import type { Measurements } from "../logging/measurements.ts";
import type { RequestLog } from "../logging/request-log.ts";
import type { TraceContext } from "./headers.ts";

/** What is known of every request from its start. */
export interface RequestStart {
  request: Request;
  /** The path asked for, without its query. */
  path: string;
  requestId: string;
  trace: TraceContext | undefined;
  isolate: Isolate;
  environment: Environment;
  log: RequestLog;
  measurements: Measurements;
  /** Milliseconds since the epoch. */
  startedAt: number;
  /** Stops the redaction of the caller's own secrets; nothing of the request is logged after it. */
  releaseSecrets: () => void;
  progress: RequestProgress;
}

/** What becomes known on the way and is needed again for the answer and the log. */
export interface RequestProgress {
  /** `machine_id` of the row, once there is one; part of every error answer from then on. */
  machineId: string | null;
  /** A failure from here on is a failure to provision. */
  provisioning: boolean;
  /** Before that nothing is done for a request, and anybody can have sent it. */
  callerKnown: boolean;
}

/** What the handler of a route for anyone gets. */
export interface OpenContext extends RequestStart {
  parameters: Record<string, string>;
  /** Null when the platform's settings do not lead to one. */
  database: Database | null;
}

/** What the handler of a guarded route gets. */
export interface RequestContext extends OpenContext {
  database: Database;
  /** Checked against the access of the route. */
  caller: Caller;
}

/** An answer, and work that goes on after it was sent. */
export interface Accepted {
  response: Response;
  /** Resolves to the outcome, for the summary. */
  background: Promise<string>;
}

export type HandlerResult = Response | Accepted;
export type Handler<Context> = (context: Context) => HandlerResult | Promise<HandlerResult>;
