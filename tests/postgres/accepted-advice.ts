/**
 * What `supabase db advisors` says about this schema and why it may. Anything else that it says fails
 * `hosted_test.ts`, and so does an entry that it no longer says.
 */

export interface AcceptedAdvice {
  name: string;
  level: "INFO" | "WARN";
  /** What its sentence has to contain; without it every sentence of that name is accepted. */
  about?: string;
  reason: string;
}

/** Tables that only service_role and functions read: row level security without a policy shuts them. */
const CLOSED_TABLES = [
  "alert_codes",
  "alert_states",
  "alerts",
  "fly_create_buckets",
  "fly_create_slots",
  "fly_orphans",
  "full_regions",
  "installation",
  "metric_counters",
  "metric_durations",
  "pooled_machines",
  "reconcile_runs",
];

export const ACCEPTED_ADVICE: readonly AcceptedAdvice[] = [
  {
    name: "unused_index",
    level: "INFO",
    reason: "A database that was made a moment ago has used no index yet.",
  },
  ...CLOSED_TABLES.map((table): AcceptedAdvice => ({
    name: "rls_enabled_no_policy",
    level: "INFO",
    about: `\`public.${table}\``,
    reason: "Nobody but service_role reads it, and service_role needs no policy.",
  })),
  {
    name: "function_search_path_mutable",
    level: "WARN",
    about: "`public.run_reconcile`",
    reason:
      "A procedure with a search_path of its own may not commit, which this one has to before " +
      "it looks at the answer of the call before. Every name in it is qualified, and only the " +
      "owner may call it.",
  },
];
