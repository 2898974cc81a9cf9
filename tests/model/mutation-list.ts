/**
 * Deliberate bugs, each as an exact replacement in one file. A source that no longer contains `from`
 * makes the run fail, so that this list cannot rot.
 */
import type { TestName } from "./mutation-tests.ts";

export interface Mutation {
  name: string;
  file: string;
  from: string;
  to: string;
  /** The tests that are run against it; at least one has to notice. */
  tests: TestName[];
}

const FUNCTION = "supabase/functions/provision-machine";
const MIGRATIONS = "supabase/migrations";

export const MUTATIONS: Mutation[] = [
  {
    name: "skip the lookup before the second create",
    file: `${FUNCTION}/provision/create-machine.ts`,
    from: "  if (mightExist) {\n",
    to: "  if (mightExist && attempt < 0) {\n",
    tests: ["model"],
  },
  {
    name: "create again without asking whether the row still wants a machine",
    file: `${FUNCTION}/provision/create-machine.ts`,
    from: "    await takeCreateSlot(context, row);\n",
    to: "",
    tests: ["destroying"],
  },
  {
    name: "do not adopt the machine that a name refusal points to",
    file: `${FUNCTION}/provision/create-machine.ts`,
    from: "const found = error.nameIsTaken ?",
    to: "const found = error.nameIsTaken && attempt < 0 ?",
    tests: ["recovering"],
  },
  {
    name: "drop the compensation: leave the machine of a failed request",
    file: `${FUNCTION}/provision/give-up.ts`,
    from: "() => removeLeftovers(context, input, progress)",
    to: "() => Promise.resolve(true)",
    tests: ["model"],
  },
  {
    name: "answer a failure without closing the row",
    file: `${FUNCTION}/provision/give-up.ts`,
    from: "  const flyMachineId = progress.machine?.id ?? null;\n",
    to:
      "  const flyMachineId = progress.machine?.id ?? null;\n  if (flyMachineId === null) throw error;\n",
    tests: ["model"],
  },
  {
    name: "forget the status guard in mark_machine_running",
    file: `${MIGRATIONS}/20261101000200_machine_transitions.sql`,
    from: "where id = p_id and status = 'provisioning' and destroy_requested_at is null",
    to: "where id = p_id",
    tests: ["regressions"],
  },
  {
    name: "mark running without waiting for started",
    file: `${FUNCTION}/provision/start-machine.ts`,
    from: 'if (starting.machine.state === "started") return;',
    to: 'if (starting.machine.state !== "") return;',
    tests: ["model"],
  },
  {
    name: "ignore destroy_requested_at in reconcile",
    file: `${FUNCTION}/reconcile/close-due-rows.ts`,
    from: 'if (row.destroy_requested_at !== null && row.status !== "destroyed") {',
    to: 'if (row.destroy_requested_at === "never") {',
    tests: ["model"],
  },
  {
    name: "leave interrupted rows alone in reconcile",
    file: `${FUNCTION}/reconcile/close-due-rows.ts`,
    from: 'if (row.status === "provisioning") return await closeInterrupted(context, row);',
    to: 'if (row.status === "provisioning") return;',
    tests: ["model"],
  },
  {
    name: "reconcile without a lease",
    file: `${MIGRATIONS}/20261129000300_reconcile_is_watched.sql`,
    from: "reconcile_at = now() + make_interval(secs => p_lease_ms / 1000.0) * case",
    to: "reconcile_at = m.reconcile_at + interval '0' * case",
    tests: ["regressions"],
  },
  {
    name: "one deadline for all due rows",
    file: `${FUNCTION}/reconcile/context.ts`,
    from: "deadline.within(ITEM_BUDGET_MS)",
    to: "deadline.within(1_000 * ITEM_BUDGET_MS)",
    tests: ["reconcile"],
  },
  {
    name: "close no overdue row while Fly.io cannot be asked",
    file: `${FUNCTION}/reconcile/close-due-rows.ts`,
    from: "if (!(error instanceof FlyError)) throw error;\n    report.fail(",
    to: "if (error instanceof Error) throw error;\n    report.fail(",
    tests: ["reconcile"],
  },
  {
    name: "take due rows by their time alone",
    file: `${MIGRATIONS}/20261129000300_reconcile_is_watched.sql`,
    from: "order by m.status <> 'provisioning', m.reconcile_attempts, queue.turn, m.reconcile_at",
    to: "order by m.reconcile_at",
    tests: ["due rows"],
  },
  {
    name: "sweep machines without checking whose they are",
    file: `${FUNCTION}/hosting/shared-app.ts`,
    from: "machines.filter(({ name }) => hasNameOf(tag, name))",
    to: "machines.filter(({ name }) => hasNameOf(tag, name) || name !== tag)",
    tests: ["ownership", "model"],
  },
  {
    name: "do not sweep at all",
    file: `${FUNCTION}/reconcile/settle-orphans.ts`,
    from: "      await hosting.destroyFound({",
    to: '      if (found.key === "") await hosting.destroyFound({',
    tests: ["regressions"],
  },
  {
    name: "destroy an orphan at its first sighting",
    file: `${FUNCTION}/reconcile/settle-orphans.ts`,
    from: "if (!confirmed.has(found.key)) {",
    to: 'if (!confirmed.has(found.key) && found.key === "") {',
    tests: ["ownership"],
  },
  {
    name: "skip the second sighting of an app",
    file: `${FUNCTION}/reconcile/settle-orphans.ts`,
    from: "if (!confirmed.has(found.key)) {",
    to: "if (!confirmed.has(found.key) && found.key !== found.app) {",
    tests: ["regressions"],
  },
  {
    name: "adopt a stranger's app",
    file: `${FUNCTION}/hosting/whose-app.ts`,
    from: "  return app?.name === name && app.network",
    to: '  return name !== "" || app?.name === name && app.network',
    tests: ["regressions"],
  },
  {
    name: "destroy the machine of a row that may have become running",
    file: `${FUNCTION}/provision/give-up.ts`,
    from: 'if (stale && flyMachineId !== null && error.code === "database_error") {',
    to: 'if (stale && flyMachineId === "") {',
    tests: ["regressions"],
  },
  {
    name: "destroy machines without a row, however many they are",
    file: `${FUNCTION}/reconcile/settle-orphans.ts`,
    from: "(withoutRow.length > BRAKE.count &&",
    to: "(withoutRow.length > 1_000 &&",
    tests: ["ownership"],
  },
  {
    name: "do not look for lost machines",
    file: `${FUNCTION}/reconcile/find-lost-machines.ts`,
    from: 'if (machine !== null && machine.state !== "destroyed") {',
    to: "if (machine === null || machine.id) {",
    tests: ["regressions", "model"],
  },
  {
    name: "believe one sighting of a missing machine",
    file: `${MIGRATIONS}/20261129000200_stopped.sql`,
    from: "coalesce(v_since <= now() - interval '1 minute', false)",
    to: "coalesce(v_since <= now(), false)",
    tests: ["ownership"],
  },
  {
    name: "ignore the fence around another project's database",
    file: `${MIGRATIONS}/20261126000200_installation.sql`,
    from: "  return v_host <> p_project_host;",
    to: "  return v_host is null;",
    tests: ["moved project"],
  },
  {
    name: "destroy by id without checking the name",
    file: `${FUNCTION}/hosting/machine-of-row.ts`,
    from: 'found.name === machine.name ? "ours" : "foreign"',
    to: 'found.name === "" ? "foreign" : "ours"',
    tests: ["destroying a row's machine"],
  },
  {
    name: "keep the name that a stranger's app has",
    file: `${FUNCTION}/provision/provision-machine.ts`,
    from: "if (names === MAX_NAMES) throw",
    to: "if (names > 0) throw",
    tests: ["taken names"],
  },
  {
    name: "take a hidden stranger's app for one of ours that is new",
    file: `${FUNCTION}/hosting/own-app.ts`,
    from: "if (existing === null && !last) throw error;",
    to: "if (existing === null) throw error;",
    tests: ["taken names"],
  },
  {
    name: "one idempotency key for every name of a row",
    file: `${FUNCTION}/hosting/own-app.ts`,
    from: "idempotencyKey: name }",
    to: "idempotencyKey: orgSlug }",
    tests: ["taken names"],
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
    name: "forget the organisation of an app",
    file: `${FUNCTION}/hosting/whose-app.ts`,
    from: "app.organization?.slug === organization",
    to: "app.organization !== undefined",
    tests: ["strangers"],
  },
  {
    name: "adopt a machine without asking whose its app is",
    file: `${FUNCTION}/hosting/machine-of-row.ts`,
    from: "if (app === name && flyMachineId === null) {",
    to: "if (app === name && flyMachineId === '') {",
    tests: ["strangers"],
  },
  {
    name: "adopt an orphan without its organisation",
    file: `${MIGRATIONS}/20261129000510_adopted_rows_name_their_organisation.sql`,
    from: "p_machine_id, p_fly_machine_id, p_fly_app_name, p_create_bucket, p_region",
    to: "p_machine_id, p_fly_machine_id, p_fly_app_name, null, p_region",
    tests: ["strangers"],
  },
  {
    name: "forget the Idempotency-Key",
    file: `${MIGRATIONS}/20261129000500_a_claim_locks_its_user_first.sql`,
    from: "  if p_idempotency_key is not null then",
    to: "  if p_idempotency_key = '' then",
    tests: ["model"],
  },
  {
    name: "drop the lock of claim_machine",
    file: `${MIGRATIONS}/20261129000500_a_claim_locks_its_user_first.sql`,
    from:
      "  perform pg_advisory_xact_lock(hashtextextended('provision-machine:' || p_user_id::text, 0));\n",
    to: "",
    tests: ["concurrency on Postgres"],
  },
  {
    name: "call Fly.io without a time limit",
    file: `${FUNCTION}/fly/client.ts`,
    from: "        timeoutMs,\n        (signal) => this.send",
    to: "        timeoutMs + 3_600_000,\n        (signal) => this.send",
    tests: ["model"],
  },
  {
    name: "do not log failures",
    file: `${FUNCTION}/app.ts`,
    from: "if (failed) logFailure(",
    to: "if (failed && error.status >= 600) logFailure(",
    tests: ["model"],
  },
  {
    name: "do not redact what Fly.io says",
    file: `${FUNCTION}/fly/client.ts`,
    from: "return this.options.redact(text);",
    to: "return text;",
    tests: ["regressions", "model"],
  },
  {
    name: "let every signed-in user read every machine",
    file: `${MIGRATIONS}/20261101000000_cloud_machines.sql`,
    from: "  to authenticated\n  using (user_id = (select auth.uid()));",
    to: "  to authenticated\n  using (true);",
    tests: ["row level security"],
  },
  {
    name: "offer a machine that is being destroyed",
    file: `${FUNCTION}/lifecycle/usable-machine.ts`,
    from: "row.destroy_requested_at !== null || row.user_id === null",
    to: "row.user_id === null",
    tests: ["connecting"],
  },
  {
    name: "connect to another user's machine",
    file: `${FUNCTION}/database/machines.ts`,
    from: '{ p_machine_id: machineId, ...unlessNull("p_user_id", userId) }',
    to: '{ p_machine_id: machineId, ...unlessNull("p_user_id", userId && null) }',
    tests: ["connecting"],
  },
  {
    name: "one key for all machines",
    file: `${FUNCTION}/connect/token.ts`,
    from: "`connect:${machineId}`",
    to: "`connect:${machineId.slice(0, 7)}`",
    tests: ["connecting"],
  },
  {
    name: "believe that a stop was idle although it was asked for",
    file: `${MIGRATIONS}/20261129000200_stopped.sql`,
    from: "v_reason := 'requested';",
    to: "null;",
    tests: ["changes"],
  },
  {
    name: "answer a stop before it has happened",
    file: `${FUNCTION}/lifecycle/change-machine.ts`,
    from: "if (await waited(context, row, { change, version })) return outcomeOf(change);",
    to:
      "if (version !== undefined || !(await waited(context, row, { change, version }))) return outcomeOf(change);",
    tests: ["changes"],
  },
  {
    name: "take a refusal of a start for its end",
    file: `${FUNCTION}/lifecycle/change-machine.ts`,
    from: 'else if (failure.refusal !== "busy")',
    to: "else if (failure.refusal !== undefined)",
    tests: ["changes"],
  },
  {
    name: "believe that a machine between two restarts is stopped",
    file: `${FUNCTION}/reconcile/follow-states.ts`,
    from: '  stopped: "stopped",\n',
    to: '  stopped: "stopped",\n  restarting: "stopped",\n',
    tests: ["states"],
  },
  {
    name: "ignore the states on the list",
    file: `${FUNCTION}/reconcile/compare-machines.ts`,
    from: "if (differs(found.state, owner)) changed.push(owner);",
    to: "continue;",
    tests: ["states"],
  },
  {
    name: "destroy a failed machine at its first sighting",
    file: `${FUNCTION}/reconcile/find-lost-machines.ts`,
    from: "if (!await ownership.noteMissing(row.id, deadline)) {",
    to: "if (!await ownership.noteMissing(row.id, deadline) && !failed) {",
    tests: ["states"],
  },
  {
    name: "let a stopped machine escape the limit",
    file: `${MIGRATIONS}/20261129000500_a_claim_locks_its_user_first.sql`,
    from:
      "and status in ('provisioning', 'running', 'stopped')\n    order by created_at desc\n    limit 1\n    offset",
    to:
      "and status in ('provisioning', 'running')\n    order by created_at desc\n    limit 1\n    offset",
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
    name: "hand over when the isolate may live on",
    file: `${FUNCTION}/provision/in-flight.ts`,
    from: 'const MAY_LIVE_ON = ["cpu", "memory"];',
    to: "const MAY_LIVE_ON: string[] = [];",
    tests: ["in flight"],
  },
  {
    name: "lock the user only when the row is written",
    file: `${MIGRATIONS}/20261129000500_a_claim_locks_its_user_first.sql`,
    from: "v_user_exists := public.lock_user(p_user_id);",
    to: "v_user_exists := true;",
    tests: ["concurrency on Postgres"],
  },
  {
    name: "report a late reconcile to nobody",
    file: `${FUNCTION}/provision/handle-provision.ts`,
    from: 'if ("reconcile_problem" in claim && claim.reconcile_problem) {',
    to: 'if ("reconcile_problem" in claim && claim.reconcile_problem === undefined) {',
    tests: ["alerts"],
  },
  {
    name: "forget to redact the key of the machine that is made",
    file: `${FUNCTION}/provision/provision-inputs.ts`,
    from: "redactor.protect(connectKey === null ? [] : [connectKey])",
    to: "redactor.protect([])",
    tests: ["connect secret"],
  },
  {
    name: "one address for all apps",
    file: `${FUNCTION}/hosting/choose-hosting.ts`,
    from: "ownApps({ orgSlug, namePrefix, addressTemplate, hasRouter })",
    to:
      'ownApps({ orgSlug, namePrefix, addressTemplate: addressTemplate.replace("{app}", namePrefix), hasRouter })',
    tests: ["connections"],
  },
  {
    name: "one app for all machines, although each is to have its own",
    file: `${MIGRATIONS}/20261129000500_a_claim_locks_its_user_first.sql`,
    from: "when p_own_app and v_bucket is not null then v_machine_id else",
    to: "when p_own_app and v_bucket is not null then left(v_machine_id, -15) else",
    tests: ["connections"],
  },
  {
    name: "let a token lead the router to another app",
    file: "examples/router/router.mjs",
    from: "if (app !== machineId && !(SHARED_APP && app === SHARED_APP)) {",
    to: 'if (app === "") {',
    tests: ["connections"],
  },
];
