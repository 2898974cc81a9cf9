/** The columns of `cloud_machines` that a test writes directly. */
export interface MachineValues {
  id: string;
  user_id: string | null;
  machine_id: string;
  fly_app_name: string | null;
  region: string;
  cpu_priority: string;
  status: string;
  websocket_url: string | null;
  request_hash: string;
  request_id: string;
  deadline_at: string;
  reconcile_at: string | null;
  [column: string]: unknown;
}

/** A new row that is provisioning, with `changes`. */
export function machineValues(changes: Partial<MachineValues> = {}): MachineValues {
  const id = crypto.randomUUID();
  const deadline = new Date(Date.now() + 60_000).toISOString();
  return {
    id,
    user_id: null,
    machine_id: `machine-${id.slice(0, 8)}`,
    fly_app_name: "test-app",
    region: "iad",
    cpu_priority: "normal",
    status: "provisioning",
    websocket_url: "wss://test-app.fly.dev/machines/m",
    request_hash: "hash",
    request_id: "request",
    deadline_at: deadline,
    reconcile_at: deadline,
    ...changes,
  };
}
