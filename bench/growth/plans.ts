/** What Postgres did for one statement, every statement inside its functions included. */
import type { Sql } from "postgres";
import { z } from "zod";

/** One node of `explain (analyze, buffers, format json)`; what is not used is left out. */
interface PlanNode {
  "Node Type": string;
  "Relation Name"?: string | undefined;
  "Actual Rows"?: number | undefined;
  "Rows Removed by Filter"?: number | undefined;
  "Shared Hit Blocks"?: number | undefined;
  "Shared Read Blocks"?: number | undefined;
  Plans?: PlanNode[] | undefined;
}

const PlanNode: z.ZodType<PlanNode> = z.lazy(() =>
  z.object({
    "Node Type": z.string(),
    "Relation Name": z.string().optional(),
    "Actual Rows": z.number().optional(),
    "Rows Removed by Filter": z.number().optional(),
    "Shared Hit Blocks": z.number().optional(),
    "Shared Read Blocks": z.number().optional(),
    Plans: z.array(PlanNode).optional(),
  })
);
const Logged = z.object({ "Query Text": z.string(), Plan: PlanNode });

export interface Work {
  /** Blocks of 8 KiB that were read: they decide the time, and are the same on every machine. */
  blocks: number;
  /** Tables that were read in full, with the number of rows read. */
  fullScans: { table: string; rows: number }[];
}

/** Makes the session of `sql` report its plans to {@link PlanLog.take}. It must have one connection. */
export class PlanLog {
  #notices: string[] = [];

  /** The driver's `onnotice`. */
  readonly onNotice = ({ message }: { message?: string | undefined }): void => {
    if (message !== undefined) this.#notices.push(message);
  };

  async during(sql: Sql, work: () => Promise<unknown>): Promise<Work> {
    await sql.unsafe(`
      load 'auto_explain';
      set auto_explain.log_min_duration = 0;
      set auto_explain.log_analyze = on;
      set auto_explain.log_buffers = on;
      set auto_explain.log_timing = off;
      set auto_explain.log_nested_statements = on;
      set auto_explain.log_format = json;
      set client_min_messages = log`);
    this.#notices = [];
    await work();
    const plans = this.#notices.flatMap(planOf);
    await sql.unsafe("set auto_explain.log_min_duration = -1; set client_min_messages = warning");
    if (plans.length === 0) throw new Error("Postgres reported no plan");
    // The statement itself comes last and holds the blocks of everything inside it.
    const blocks = Math.max(...plans.map((plan) => blocksOf(plan)));
    return { blocks, fullScans: plans.flatMap(fullScansOf) };
  }
}

function planOf(notice: string): PlanNode[] {
  const at = notice.indexOf("{");
  if (!notice.startsWith("duration:") || at < 0) return [];
  return [Logged.parse(JSON.parse(notice.slice(at))).Plan];
}

function blocksOf(node: PlanNode): number {
  return (node["Shared Hit Blocks"] ?? 0) + (node["Shared Read Blocks"] ?? 0);
}

function fullScansOf(node: PlanNode): Work["fullScans"] {
  const table = node["Relation Name"];
  const rows = (node["Actual Rows"] ?? 0) + (node["Rows Removed by Filter"] ?? 0);
  const own = node["Node Type"] === "Seq Scan" && table !== undefined ? [{ table, rows }] : [];
  return [...own, ...(node.Plans ?? []).flatMap(fullScansOf)];
}
