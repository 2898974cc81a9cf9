import type { Runtime } from "../runtime.ts";
import { DatabaseCaller } from "./caller.ts";
import { createDatabaseClient } from "./client.ts";
import { CloudMachines } from "./cloud-machines.ts";

/** What handlers have of the database. */
export interface Database {
  machines: CloudMachines;
  caller: DatabaseCaller;
}

export function connectDatabase(url: string, serviceKey: string, runtime: Runtime): Database {
  const caller = new DatabaseCaller(createDatabaseClient(url, serviceKey, runtime), runtime);
  return { caller, machines: new CloudMachines(caller) };
}
