/** The bodies of requests and successful answers, as the API's description has them. */
import { z } from "zod";
import { CPU_PRIORITIES } from "../../supabase/functions/provision-machine/provision/machine-config.ts";
import type { Action } from "../../supabase/functions/provision-machine/reconcile/report.ts";

const requestId = z.string().describe("Operators search the log by it");
const machineId = z.string().describe("The machine's name at Fly.io");
const websocketUrl = z.url().describe("Where the machine is reached");
const flyMachineId = z.string().nullable();
const region = z.string().describe("A region code of Fly.io, such as iad");

const machine = {
  machineId,
  message: z.string(),
  region,
  flyMachineId,
  requestId,
};

/** Typed, so that a count that is added to the report has to be added here. */
const COUNTS: Record<Action, z.ZodInt> = {
  adopted: z.int().min(0),
  interrupted: z.int().min(0),
  destroyed: z.int().min(0),
  cleanedUp: z.int().min(0),
  orphansDestroyed: z.int().min(0),
  lost: z.int().min(0),
  started: z.int().min(0),
  stopped: z.int().min(0),
  crashed: z.int().min(0),
  expired: z.int().min(0),
  found: z.int().min(0),
  pooled: z.int().min(0),
  poolDiscarded: z.int().min(0),
  poolDestroyed: z.int().min(0),
  suspected: z.int().min(0),
  orphansHeld: z.int().min(0),
  alertsSent: z.int().min(0),
  failed: z.int().min(0),
};

const status = z.enum(["pass", "warn", "fail"]);

const check = z.strictObject({
  componentType: z.enum(["system", "datastore", "component"]),
  status,
  time: z.iso.datetime(),
  observedValue: z.union([z.number(), z.string()]).optional(),
  observedUnit: z.string().optional(),
  output: z.string().optional().describe("What is wrong; only where something is"),
});

/** By the name that each has among the description's components. */
export const SCHEMAS = {
  ProvisionRequest: z.strictObject({
    userId: z.uuid().optional().describe("Required from a service; a user may omit it"),
    region: z.string().max(64).optional().describe("One of the operator's FLY_REGIONS"),
    cpuPriority: z.enum(CPU_PRIORITIES).default("normal"),
  }),
  ReconcileRequest: z.strictObject({
    orphans: z.enum(["destroy", "adopt"]).optional()
      .describe("Decides about machines that are held back"),
  }),
  Machine: z.strictObject({ ...machine, websocketUrl, status: z.enum(["running", "stopped"]) }),
  PendingMachine: z.strictObject({
    ...machine,
    websocketUrl: websocketUrl.nullable()
      .describe("Null where the address contains Fly.io's id of the machine"),
    status: z.literal("provisioning"),
  }),
  Connection: z.strictObject({
    websocketUrl,
    token: z.string().describe("Goes into the address as the query parameter token"),
    expiresAt: z.iso.datetime(),
    status: z.enum(["running", "stopped"]),
    machineId,
    requestId,
  }),
  DestroyedMachine: z.strictObject({
    machineId,
    status: z.literal("destroyed"),
    message: z.string(),
    requestId,
  }),
  Health: z.union([
    z.strictObject({ status }).describe("What anyone sees"),
    z.strictObject({
      status,
      description: z.string(),
      version: z.string(),
      releaseId: z.string().describe("RELEASE, where it is set").optional(),
      checks: z.record(z.string(), z.array(check)),
    }).describe("What a service sees"),
  ]),
  ReconcileRun: z.strictObject({
    ...COUNTS,
    actions: z.array(z.strictObject({
      action: z.enum(Object.keys(COUNTS)),
      machineId: z.string().nullable(),
      flyMachineId: z.string().nullable(),
      reason: z.string().optional(),
    })).max(100),
    requestId,
  }),
  Metrics: z.string().describe("Prometheus' text format"),
  OpenApi: z.looseObject({ openapi: z.string() }).describe("This document"),
} satisfies Record<string, z.ZodType>;

export type SchemaName = keyof typeof SCHEMAS;
