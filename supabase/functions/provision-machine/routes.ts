/** Every route, who may call it, and what handles it. Handlers load when they are first needed. */
import type { Route } from "./http/router.ts";
import { lazy } from "./runtime.ts";

export const ROUTES: readonly Route[] = [
  {
    method: "POST",
    path: "/",
    access: "user-or-service",
    load: lazy(async () => (await import("./provision/handle-provision.ts")).handleProvision),
  },
  {
    method: "DELETE",
    path: "/{machineId}",
    access: "user-or-service",
    load: lazy(async () => (await import("./destroy/handle-destroy.ts")).handleDestroy),
  },
  {
    method: "POST",
    path: "/{machineId}/start",
    access: "user-or-service",
    load: lazy(async () => (await import("./lifecycle/handle-change.ts")).handleStart),
  },
  {
    method: "POST",
    path: "/{machineId}/stop",
    access: "user-or-service",
    load: lazy(async () => (await import("./lifecycle/handle-change.ts")).handleStop),
  },
  {
    method: "POST",
    path: "/{machineId}/suspend",
    access: "user-or-service",
    load: lazy(async () => (await import("./lifecycle/handle-change.ts")).handleSuspend),
  },
  {
    method: "POST",
    path: "/{machineId}/connect",
    access: "user-or-service",
    load: lazy(async () => (await import("./connect/handle-connect.ts")).handleConnect),
  },
  {
    method: "GET",
    path: "/health",
    access: "anyone",
    load: lazy(async () => (await import("./health/handle-health.ts")).handleHealth),
  },
  {
    method: "GET",
    path: "/openapi.json",
    access: "anyone",
    load: lazy(async () => (await import("./openapi/handle-openapi.ts")).handleOpenApi),
  },
  {
    method: "GET",
    path: "/metrics",
    access: "service",
    load: lazy(async () => (await import("./metrics/handle-metrics.ts")).handleMetrics),
  },
  {
    method: "POST",
    path: "/reconcile",
    access: "service",
    load: lazy(async () => (await import("./reconcile/handle-reconcile.ts")).handleReconcile),
  },
];
