/** Every state of every row, from one write to the next. */
import type { ModelDatabase } from "../model/model-database.ts";
import { z } from "zod";

const rowSchema = z.looseObject({
  id: z.string(),
  user_id: z.string().nullable(),
  machine_id: z.string(),
  fly_machine_id: z.string().nullable(),
  fly_app_name: z.string().nullable(),
  // Whatever states there are, now and later.
  status: z.string(),
  stop_reason: z.string().nullish(),
  error_code: z.string().nullable(),
  error_message: z.string().nullable(),
  websocket_url: z.string().nullable(),
  idempotency_key: z.string().nullable(),
  request_id: z.string(),
  reconcile_at: z.string().nullable(),
  destroy_requested_at: z.string().nullable(),
  deadline_at: z.string(),
  /** When it became running first; null for one that never did. */
  provisioned_at: z.string().nullable(),
});

/** A row of `cloud_machines`: the columns that are judged. */
export type LifeRow = z.output<typeof rowSchema>;

/** A row as one write left it. */
export interface RowVersion {
  step: number;
  atMs: number;
  row: LifeRow;
  /** When the next write came; Infinity for the row as it is at the end. */
  untilMs: number;
  untilStep: number;
  /** What it was before; null for a new row. */
  before: LifeRow | null;
}

export async function readVersions(database: ModelDatabase): Promise<RowVersion[]> {
  const versions: RowVersion[] = (await database.versions()).map(({ step, atMs, row }) => ({
    step,
    atMs,
    row: rowSchema.parse(row),
    untilMs: Infinity,
    untilStep: Infinity,
    before: null,
  }));
  const latest = new Map<string, RowVersion>();
  for (const version of versions) {
    const before = latest.get(version.row.id);
    if (before !== undefined) {
      before.untilMs = version.atMs;
      before.untilStep = version.step;
      version.before = before.row;
    }
    latest.set(version.row.id, version);
  }
  return versions;
}
