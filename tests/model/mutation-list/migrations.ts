/** Bugs in the migrations, but for the warm pool. */
import { MIGRATIONS, type Mutation } from "./mutation.ts";

export const IN_MIGRATIONS: Mutation[] = [
  {
    name: "forget the status guard in mark_machine_running",
    file: `${MIGRATIONS}/20261101000200_machine_transitions.sql`,
    from: "where id = p_id and status = 'provisioning' and destroy_requested_at is null",
    to: "where id = p_id",
    tests: ["regressions"],
  },
  {
    name: "reconcile without a lease",
    file: `${MIGRATIONS}/20261129000300_reconcile_is_watched.sql`,
    from: "reconcile_at = now() + make_interval(secs => p_lease_ms / 1000.0) * case",
    to: "reconcile_at = m.reconcile_at + interval '0' * case",
    tests: ["regressions"],
  },
  {
    name: "take due rows by their time alone",
    file: `${MIGRATIONS}/20261129000300_reconcile_is_watched.sql`,
    from: "order by m.status <> 'provisioning', m.reconcile_attempts, queue.turn, m.reconcile_at",
    to: "order by m.reconcile_at",
    tests: ["due rows"],
  },
  {
    name: "believe one sighting of a missing machine",
    file: `${MIGRATIONS}/20261129000200_stopped.sql`,
    from: "coalesce(v_since <= now() - interval '1 minute', false)",
    to: "coalesce(v_since <= now(), false)",
    tests: ["ownership", "lives"],
  },
  {
    name: "ignore the fence around another project's database",
    file: `${MIGRATIONS}/20261126000200_installation.sql`,
    from: "  return v_host <> p_project_host;",
    to: "  return v_host is null;",
    tests: ["moved project"],
  },
  {
    name: "rename a row that must be destroyed",
    file: `${MIGRATIONS}/20261129000520_another_name.sql`,
    from:
      "    and status = 'provisioning' and destroy_requested_at is null and fly_machine_id is null",
    to: "    and status = 'provisioning' and fly_machine_id is null",
    tests: ["rename"],
  },
  {
    name: "forget the names that a row had before",
    file: `${MIGRATIONS}/20261129000520_another_name.sql`,
    from: "    former_machine_ids = former_machine_ids || machine_id,\n",
    to: "",
    tests: ["taken names"],
  },
  {
    name: "give out an address with a placeholder in it",
    file: `${MIGRATIONS}/20261129000530_fly_id_in_the_address.sql`,
    from: "  if new.websocket_url_template is not null then",
    to: "  if new.fly_machine_id is not null then",
    tests: ["address"],
  },
  {
    name: "adopt an orphan without its organisation",
    file: `${MIGRATIONS}/20261129000510_adopted_rows_name_their_organisation.sql`,
    from: "p_machine_id, p_fly_machine_id, p_fly_app_name, p_create_bucket, p_region",
    to: "p_machine_id, p_fly_machine_id, p_fly_app_name, null, p_region",
    tests: ["strangers"],
  },
  {
    name: "let every signed-in user read every machine",
    file: `${MIGRATIONS}/20261101000000_cloud_machines.sql`,
    from: "  to authenticated\n  using (user_id = (select auth.uid()));",
    to: "  to authenticated\n  using (true);",
    tests: ["row level security"],
  },
  {
    name: "believe that a stop was idle although it was asked for",
    file: `${MIGRATIONS}/20261129000200_stopped.sql`,
    from: "v_reason := 'requested';",
    to: "null;",
    tests: ["changes"],
  },
  {
    name: "give a repeated call other due rows",
    file: `${MIGRATIONS}/20261129000300_reconcile_is_watched.sql`,
    from: "where m.reconcile_at is not null and m.leased_by = p_call;",
    to: "where false;",
    tests: ["due rows"],
  },
  {
    name: "let banned users have machines",
    file: `${MIGRATIONS}/20261129000800_banned_users.sql`,
    from: "select case when banned_until > now() then 'banned' else 'active' end",
    to: "select 'active'",
    tests: ["banned"],
  },
  {
    name: "let softly deleted users have machines",
    file: `${MIGRATIONS}/20261129000800_banned_users.sql`,
    from: "where id = p_user_id and deleted_at is null",
    to: "where id = p_user_id",
    tests: ["banned"],
  },
  {
    name: "let the ledger run on for a machine that was lost",
    file: `${MIGRATIONS}/20261129000600_a_lid_on_the_bill.sql`,
    from:
      "'running', 'adopted', 'started', 'stopped', 'crashed', 'failed', 'interrupted', 'machine_lost',",
    to: "'running', 'adopted', 'started', 'stopped', 'crashed', 'failed', 'interrupted',",
    tests: ["lives"],
  },
  {
    name: "leave the ledger's last interval open",
    file: `${MIGRATIONS}/20261129000600_a_lid_on_the_bill.sql`,
    from: "'machine_lost',\n      'destroyed'\n    )",
    to: "'machine_lost'\n    )",
    tests: ["lid"],
  },
  {
    name: "prune rows whose machine may still bill",
    file: `${MIGRATIONS}/20261129000300_reconcile_is_watched.sql`,
    from:
      "where status in ('error', 'destroyed') and reconcile_at is null and updated_at < v_before",
    to: "where status in ('error', 'destroyed') and updated_at < v_before",
    tests: ["retention"],
  },
  {
    name: "a failed stop explains every later one",
    file: `${MIGRATIONS}/20261129000710_sightings_and_late_stops.sql`,
    from: "<= v_over + interval '30 seconds'",
    to: "<= v_over + interval '30 days'",
    tests: ["states"],
  },
  {
    name: "grant what only the owner may call to every role of the API",
    file: `${MIGRATIONS}/20261129000400_schedule_checks_the_response.sql`,
    from:
      "revoke execute on procedure public.run_reconcile from public, anon, authenticated, service_role;",
    to: "",
    tests: ["hosted Postgres"],
  },
];
