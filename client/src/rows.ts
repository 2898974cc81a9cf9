/**
 * The rows that a user can read with supabase-js: `createClient<Database>(…)`. They are types, not
 * interfaces, because supabase-js takes only those for rows.
 */

/** What a machine is, as its row says. */
export type MachineStatus = "provisioning" | "running" | "stopped" | "error" | "destroyed";

/** The columns of `cloud_machines` that concern its owner. */
export type MachineRow = {
  id: string;
  machine_id: string;
  status: MachineStatus;
  region: string;
  cpu_priority: string;
  websocket_url: string | null;
  fly_machine_id: string | null;
  /** Set exactly when `status` is `error`. */
  error_code: string | null;
  error_message: string | null;
  /** Why it stopped; null while it runs. */
  stop_reason: string | null;
  request_id: string;
  created_at: string;
  updated_at: string;
  provisioned_at: string | null;
  /** Set while it is being destroyed. */
  destroy_requested_at: string | null;
};

/** One step in the life of a machine: a row of `machine_events`. */
export type MachineEventRow = {
  id: number;
  cloud_machine_id: string | null;
  request_id: string;
  kind: string;
  error_code: string | null;
  duration_ms: number | null;
  created_at: string;
};

/** A machine; if they were asked for, with its events, oldest first. */
export type ListedMachine = MachineRow & { machine_events?: MachineEventRow[] };

/** How long a machine ran on a day: a row of the view `machine_usage`. */
export type MachineUsageRow = {
  user_id: string | null;
  machine_id: string;
  day: string | null;
  running_seconds: number | null;
  stopped_seconds: number | null;
};

/** Users only read. */
type ReadOnly<Row> = {
  Row: Row;
  Insert: Record<string, never>;
  Update: Record<string, never>;
  Relationships: [];
};

/** The part of the schema that users see, for `createClient<Database>`. */
export type Database = {
  public: {
    Tables: {
      cloud_machines: ReadOnly<MachineRow>;
      machine_events: Omit<ReadOnly<MachineEventRow>, "Relationships"> & {
        Relationships: [{
          foreignKeyName: "machine_events_cloud_machine_id_fkey";
          columns: ["cloud_machine_id"];
          isOneToOne: false;
          referencedRelation: "cloud_machines";
          referencedColumns: ["id"];
        }];
      };
    };
    Views: { machine_usage: { Row: MachineUsageRow; Relationships: [] } };
    Functions: Record<string, never>;
  };
};
