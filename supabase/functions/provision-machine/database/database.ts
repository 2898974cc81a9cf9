/** Everything that handlers can do with the database. */
import type { Platform } from "../config/environment.ts";
import type { Runtime } from "../runtime.ts";
import { Alerts } from "./alerts.ts";
import { DatabaseCaller } from "./caller.ts";
import { Changes } from "./changes.ts";
import { Claims } from "./claims.ts";
import { Machines } from "./machines.ts";
import { Observations } from "./observations.ts";
import { Ownership } from "./ownership.ts";
import { Pool } from "./pool.ts";

export interface Database {
  claims: Claims;
  changes: Changes;
  machines: Machines;
  ownership: Ownership;
  pool: Pool;
  alerts: Alerts;
  observations: Observations;
}

/** A database with service rights. One per isolate, so that its connections are kept. */
export function connectDatabase(platform: Platform, runtime: Runtime): Database {
  const caller = new DatabaseCaller(platform, runtime);
  return {
    claims: new Claims(caller),
    changes: new Changes(caller),
    machines: new Machines(caller),
    ownership: new Ownership(caller),
    pool: new Pool(caller),
    alerts: new Alerts(caller),
    observations: new Observations(caller),
  };
}
