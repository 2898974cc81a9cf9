-- The schema "public" as the migrations leave it on a hosted project: each table with everything
-- that belongs to it, then each function. For reading only: nothing runs this file. To change the
-- schema, add a migration and run `deno task schema`, which writes this file.
-- Not here: the jobs of pg_cron (20261101000600_schedule.sql).

-- alert_codes -------------------------------------------------------------------------------------

CREATE TABLE public.alert_codes (
    kind text NOT NULL,
    code text NOT NULL,
    last_alert_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.alert_codes IS 'When an alert last told of each code; for the cooldown.';

ALTER TABLE public.alert_codes ADD CONSTRAINT alert_codes_pkey PRIMARY KEY (kind, code);

ALTER TABLE public.alert_codes ADD CONSTRAINT alert_codes_kind_fkey FOREIGN KEY (kind) REFERENCES public.alert_states(kind);

ALTER TABLE public.alert_codes ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.alert_codes TO service_role;

-- alert_states ------------------------------------------------------------------------------------

CREATE TABLE public.alert_states (
    kind text NOT NULL,
    firing boolean DEFAULT false NOT NULL,
    held_back jsonb,
    CONSTRAINT kind_is_known CHECK ((kind = ANY (ARRAY['failures'::text, 'configuration'::text, 'reconcile'::text, 'fleet_filling'::text, 'fleet_full'::text])))
);

COMMENT ON TABLE public.alert_states IS 'Whether each kind of alert is firing.';
COMMENT ON COLUMN public.alert_states.held_back IS 'What the cooldown kept from being told after a recovery; told when the cooldown is over.';

ALTER TABLE public.alert_states ADD CONSTRAINT alert_states_pkey PRIMARY KEY (kind);

ALTER TABLE public.alert_states ENABLE ROW LEVEL SECURITY;

GRANT SELECT,UPDATE ON TABLE public.alert_states TO service_role;

-- alerts ------------------------------------------------------------------------------------------

CREATE TABLE public.alerts (
    id bigint NOT NULL,
    kind text NOT NULL,
    event text NOT NULL,
    content jsonb NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone,
    sent_at timestamp with time zone,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT event_is_known CHECK ((event = ANY (ARRAY['firing'::text, 'recovered'::text]))),
    CONSTRAINT sent_alert_is_not_due CHECK (((sent_at IS NULL) OR (next_attempt_at IS NULL)))
);

ALTER TABLE public.alerts ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

COMMENT ON TABLE public.alerts IS 'Every alert and recovery message, sent or still to be sent.';
COMMENT ON COLUMN public.alerts.content IS 'What the message says: counts by code, newest request id, window.';
COMMENT ON COLUMN public.alerts.next_attempt_at IS 'When to try to send it (again); null once sent or given up.';

ALTER TABLE public.alerts ADD CONSTRAINT alerts_pkey PRIMARY KEY (id);

ALTER TABLE public.alerts ADD CONSTRAINT alerts_kind_fkey FOREIGN KEY (kind) REFERENCES public.alert_states(kind);

CREATE INDEX alerts_kind ON public.alerts USING btree (kind);
CREATE INDEX alerts_next_attempt_at ON public.alerts USING btree (next_attempt_at) WHERE (next_attempt_at IS NOT NULL);

ALTER TABLE public.alerts ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.alerts TO service_role;

-- cloud_machines ----------------------------------------------------------------------------------

CREATE TABLE public.cloud_machines (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid,
    machine_id text NOT NULL,
    fly_machine_id text,
    fly_app_name text,
    region text NOT NULL,
    cpu_priority text NOT NULL,
    status text DEFAULT 'provisioning'::text NOT NULL,
    websocket_url text,
    error_code text,
    error_message text,
    idempotency_key text,
    request_hash text NOT NULL,
    request_id text NOT NULL,
    deadline_at timestamp with time zone NOT NULL,
    reconcile_at timestamp with time zone,
    destroy_requested_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    provisioned_at timestamp with time zone,
    missing_since timestamp with time zone,
    create_bucket text,
    reconcile_attempts integer DEFAULT 0 NOT NULL,
    stop_reason text,
    leased_by text,
    former_machine_ids text[] DEFAULT '{}'::text[] NOT NULL,
    websocket_url_template text,
    failed_since timestamp with time zone,
    CONSTRAINT cpu_priority_is_known CHECK ((cpu_priority = ANY (ARRAY['low'::text, 'normal'::text, 'high'::text]))),
    CONSTRAINT error_code_is_known CHECK ((error_code = ANY (ARRAY['configuration_error'::text, 'database_error'::text, 'fly_unauthorized'::text, 'fly_rate_limited'::text, 'fly_capacity'::text, 'fly_account_limit'::text, 'fly_rejected'::text, 'fly_unavailable'::text, 'fly_invalid_response'::text, 'machine_failed'::text, 'provision_timeout'::text, 'internal_error'::text, 'interrupted'::text, 'machine_lost'::text]))),
    CONSTRAINT error_row_says_why CHECK ((((status = 'error'::text) AND (error_code IS NOT NULL) AND (error_message IS NOT NULL)) OR ((status <> 'error'::text) AND (error_code IS NULL) AND (error_message IS NULL)))),
    CONSTRAINT idempotency_key_is_visible_ascii CHECK ((idempotency_key ~ '^[!-~]{1,255}$'::text)),
    CONSTRAINT live_row_has_a_machine CHECK (((status <> ALL (ARRAY['running'::text, 'stopped'::text])) OR ((fly_machine_id IS NOT NULL) AND (fly_app_name IS NOT NULL) AND (websocket_url IS NOT NULL) AND (provisioned_at IS NOT NULL)))),
    CONSTRAINT live_row_is_reconciled_only_to_destroy CHECK (((status <> ALL (ARRAY['running'::text, 'stopped'::text])) OR ((reconcile_at IS NULL) = (destroy_requested_at IS NULL)))),
    CONSTRAINT machine_id_is_a_fly_machine_name CHECK ((machine_id ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'::text)),
    CONSTRAINT provisioning_row_is_reconciled CHECK (((status <> 'provisioning'::text) OR (reconcile_at IS NOT NULL))),
    CONSTRAINT status_is_known CHECK ((status = ANY (ARRAY['provisioning'::text, 'running'::text, 'stopped'::text, 'error'::text, 'destroyed'::text]))),
    CONSTRAINT stop_reason_is_known CHECK ((stop_reason ~ '^(requested|idle|suspended|out of memory|exit code [0-9]+|signal [0-9]+|unknown)$'::text)),
    CONSTRAINT stopped_row_says_why CHECK (((status = 'stopped'::text) = (stop_reason IS NOT NULL))),
    CONSTRAINT websocket_url_is_a_websocket CHECK ((websocket_url ~ '^wss?://'::text))
);

COMMENT ON TABLE public.cloud_machines IS 'One row per cloud machine. Written before Fly.io is called; no row stays provisioning past its deadline.';
COMMENT ON COLUMN public.cloud_machines.user_id IS 'Owner. Null once the user is deleted: the machine is then destroyed by reconcile.';
COMMENT ON COLUMN public.cloud_machines.machine_id IS 'The Fly machine''s name, unique; what callers see.';
COMMENT ON COLUMN public.cloud_machines.fly_machine_id IS 'Fly.io''s id of the machine, written as soon as it is known.';
COMMENT ON COLUMN public.cloud_machines.fly_app_name IS 'The Fly app that holds the machine. Null only when the setting was missing.';
COMMENT ON COLUMN public.cloud_machines.region IS 'The region that Fly.io returned; until then the one asked for.';
COMMENT ON COLUMN public.cloud_machines.cpu_priority IS 'low: shared 1 CPU 256 MB; normal: shared 2 CPU 512 MB; high: performance 1 CPU 2048 MB.';
COMMENT ON COLUMN public.cloud_machines.status IS 'provisioning, running, stopped, error or destroyed.';
COMMENT ON COLUMN public.cloud_machines.websocket_url IS 'Where the owner connects. Null while the address needs Fly.io''s id and it is not known yet.';
COMMENT ON COLUMN public.cloud_machines.error_code IS 'Set exactly when status is error; the code of the HTTP answer, or interrupted / machine_lost (written by reconcile).';
COMMENT ON COLUMN public.cloud_machines.error_message IS 'Set exactly when status is error.';
COMMENT ON COLUMN public.cloud_machines.idempotency_key IS 'The caller''s Idempotency-Key; one row per user and key.';
COMMENT ON COLUMN public.cloud_machines.request_hash IS 'SHA-256 of the request, to tell a repeated request from a reused key; empty where there is no key.';
COMMENT ON COLUMN public.cloud_machines.request_id IS 'x-request-id of the call that wrote the row.';
COMMENT ON COLUMN public.cloud_machines.deadline_at IS 'The request has closed the row by then; if it has not, it died.';
COMMENT ON COLUMN public.cloud_machines.reconcile_at IS 'From then on reconcile looks at the row: a request past its deadline, or a Fly machine that must be confirmed gone. Null: nothing to do.';
COMMENT ON COLUMN public.cloud_machines.destroy_requested_at IS 'Somebody wants the machine gone. Set before Fly.io is asked, so that a crash in between loses nothing.';
COMMENT ON COLUMN public.cloud_machines.provisioned_at IS 'When the machine was first seen started.';
COMMENT ON COLUMN public.cloud_machines.missing_since IS 'When Fly.io first did not know the machine of this live row; null again once it does.';
COMMENT ON COLUMN public.cloud_machines.create_bucket IS 'What the row''s create is paced with: the app that machines share, or the organisation.';
COMMENT ON COLUMN public.cloud_machines.reconcile_attempts IS 'How often reconcile has taken the row since it last became due.';
COMMENT ON COLUMN public.cloud_machines.stop_reason IS 'Why the machine is stopped: requested, idle, suspended, out of memory, exit code N, signal N, or unknown. Set exactly when status is stopped.';
COMMENT ON COLUMN public.cloud_machines.leased_by IS 'The call of take_due_machines that took the row last, so that a repeated call gets the same rows.';
COMMENT ON COLUMN public.cloud_machines.former_machine_ids IS 'Names that the row had before, which strangers'' apps have; an answer may have given one to the caller, so each still leads to the row.';
COMMENT ON COLUMN public.cloud_machines.websocket_url_template IS 'The address with {flyMachineId} in the place of Fly.io''s id; null where the address does not need it.';
COMMENT ON COLUMN public.cloud_machines.failed_since IS 'When Fly.io first called the machine of this live row failed; null again once it is in another state.';

ALTER TABLE public.cloud_machines ADD CONSTRAINT cloud_machines_machine_id_key UNIQUE (machine_id);
ALTER TABLE public.cloud_machines ADD CONSTRAINT cloud_machines_pkey PRIMARY KEY (id);

ALTER TABLE public.cloud_machines ADD CONSTRAINT cloud_machines_user_id_fkey FOREIGN KEY (user_id) REFERENCES auth.users(id) ON DELETE SET NULL;

CREATE INDEX cloud_machines_closed ON public.cloud_machines USING btree (updated_at) WHERE ((status = ANY (ARRAY['error'::text, 'destroyed'::text])) AND (reconcile_at IS NULL));
CREATE INDEX cloud_machines_fly_machine_id ON public.cloud_machines USING btree (fly_machine_id) WHERE (fly_machine_id IS NOT NULL);
CREATE INDEX cloud_machines_former_machine_ids ON public.cloud_machines USING gin (former_machine_ids) WHERE (former_machine_ids <> '{}'::text[]);
CREATE INDEX cloud_machines_live_by_app ON public.cloud_machines USING btree (fly_app_name, id) WHERE (status = ANY (ARRAY['running'::text, 'stopped'::text]));
CREATE INDEX cloud_machines_live_by_bucket ON public.cloud_machines USING btree (create_bucket) WHERE (status = ANY (ARRAY['running'::text, 'stopped'::text]));
CREATE INDEX cloud_machines_live_by_user ON public.cloud_machines USING btree (user_id) WHERE (status = ANY (ARRAY['provisioning'::text, 'running'::text, 'stopped'::text]));
CREATE INDEX cloud_machines_live_created_at ON public.cloud_machines USING btree (created_at) WHERE (status = ANY (ARRAY['provisioning'::text, 'running'::text, 'stopped'::text]));
CREATE INDEX cloud_machines_live_own_app ON public.cloud_machines USING btree (id) WHERE ((status = ANY (ARRAY['running'::text, 'stopped'::text])) AND (fly_app_name = machine_id));
CREATE INDEX cloud_machines_missing ON public.cloud_machines USING btree (id) WHERE (missing_since IS NOT NULL);
CREATE INDEX cloud_machines_provisioning_since ON public.cloud_machines USING btree (created_at) WHERE (status = 'provisioning'::text);
CREATE INDEX cloud_machines_reconcile_at ON public.cloud_machines USING btree (reconcile_at) WHERE (reconcile_at IS NOT NULL);
CREATE INDEX cloud_machines_user_id_created_at ON public.cloud_machines USING btree (user_id, created_at DESC);
CREATE UNIQUE INDEX cloud_machines_user_id_idempotency_key ON public.cloud_machines USING btree (user_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE TRIGGER cloud_machines_after_close AFTER UPDATE OF status ON public.cloud_machines FOR EACH ROW WHEN (((old.status = 'provisioning'::text) AND (new.status <> 'provisioning'::text))) EXECUTE FUNCTION public.cloud_machines_after_close();
CREATE TRIGGER cloud_machines_before_update BEFORE UPDATE ON public.cloud_machines FOR EACH ROW EXECUTE FUNCTION public.cloud_machines_before_update();
CREATE TRIGGER cloud_machines_count AFTER INSERT OR DELETE ON public.cloud_machines FOR EACH ROW EXECUTE FUNCTION public.cloud_machines_count();
CREATE TRIGGER cloud_machines_fill_in_fly_id BEFORE INSERT OR UPDATE OF websocket_url, fly_machine_id ON public.cloud_machines FOR EACH ROW EXECUTE FUNCTION public.cloud_machines_fill_in_fly_id();
CREATE TRIGGER cloud_machines_recount AFTER UPDATE ON public.cloud_machines FOR EACH ROW WHEN (((old.status <> new.status) OR (old.region <> new.region))) EXECUTE FUNCTION public.cloud_machines_count();
CREATE TRIGGER cloud_machines_refuse_a_used_name BEFORE INSERT ON public.cloud_machines FOR EACH ROW EXECUTE FUNCTION public.cloud_machines_refuse_a_used_name();
CREATE TRIGGER cloud_machines_reset_attempts BEFORE UPDATE ON public.cloud_machines FOR EACH ROW WHEN (((new.reconcile_attempts > 0) AND ((new.reconcile_at IS NULL) OR (new.status <> old.status) OR (new.destroy_requested_at IS DISTINCT FROM old.destroy_requested_at)))) EXECUTE FUNCTION public.cloud_machines_reset_attempts();

ALTER TABLE public.cloud_machines ENABLE ROW LEVEL SECURITY;

CREATE POLICY "Owners read their own machines" ON public.cloud_machines FOR SELECT TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));

GRANT SELECT ON TABLE public.cloud_machines TO authenticated;
GRANT SELECT,INSERT,UPDATE ON TABLE public.cloud_machines TO service_role;

ALTER PUBLICATION supabase_realtime ADD TABLE ONLY public.cloud_machines;

-- fly_create_buckets ------------------------------------------------------------------------------

CREATE TABLE public.fly_create_buckets (
    app_name text NOT NULL,
    full_at timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.fly_create_buckets IS 'One token bucket per Fly app, as a virtual schedule (GCRA).';
COMMENT ON COLUMN public.fly_create_buckets.full_at IS 'When the bucket will be full again if nobody creates anything: each create moves it by one interval.';

ALTER TABLE public.fly_create_buckets ADD CONSTRAINT fly_create_buckets_pkey PRIMARY KEY (app_name);

ALTER TABLE public.fly_create_buckets ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.fly_create_buckets TO service_role;

-- fly_create_slots --------------------------------------------------------------------------------

CREATE TABLE public.fly_create_slots (
    id bigint NOT NULL,
    app_name text NOT NULL,
    slot_at timestamp with time zone NOT NULL,
    cloud_machine_id uuid,
    user_id uuid,
    CONSTRAINT free_slot_has_no_user CHECK (((cloud_machine_id IS NOT NULL) OR (user_id IS NULL)))
);

ALTER TABLE public.fly_create_slots ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

COMMENT ON TABLE public.fly_create_slots IS 'The creates that have to wait, and when each may go. A create that need not wait has no row here.';
COMMENT ON COLUMN public.fly_create_slots.slot_at IS 'Not before this may the create be sent.';
COMMENT ON COLUMN public.fly_create_slots.cloud_machine_id IS 'Whose turn it is; null: a free slot.';
COMMENT ON COLUMN public.fly_create_slots.user_id IS 'The owner, so that users take turns.';

ALTER TABLE public.fly_create_slots ADD CONSTRAINT fly_create_slots_cloud_machine_id_key UNIQUE (cloud_machine_id);
ALTER TABLE public.fly_create_slots ADD CONSTRAINT fly_create_slots_pkey PRIMARY KEY (id);

ALTER TABLE public.fly_create_slots ADD CONSTRAINT fly_create_slots_app_name_fkey FOREIGN KEY (app_name) REFERENCES public.fly_create_buckets(app_name);
ALTER TABLE public.fly_create_slots ADD CONSTRAINT fly_create_slots_cloud_machine_id_fkey FOREIGN KEY (cloud_machine_id) REFERENCES public.cloud_machines(id) ON DELETE CASCADE;

CREATE INDEX fly_create_slots_queue ON public.fly_create_slots USING btree (app_name, slot_at);

ALTER TABLE public.fly_create_slots ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.fly_create_slots TO service_role;

-- fly_orphans -------------------------------------------------------------------------------------

CREATE TABLE public.fly_orphans (
    fly_machine_id text NOT NULL,
    first_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.fly_orphans IS 'Machines with a name of ours that no live row owns, as reconcile has seen them.';

ALTER TABLE public.fly_orphans ADD CONSTRAINT fly_orphans_pkey PRIMARY KEY (fly_machine_id);

CREATE INDEX fly_orphans_last_seen_at ON public.fly_orphans USING btree (last_seen_at);

ALTER TABLE public.fly_orphans ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.fly_orphans TO service_role;

-- full_regions ------------------------------------------------------------------------------------

CREATE TABLE public.full_regions (
    region text NOT NULL,
    reason text NOT NULL,
    full_until timestamp with time zone NOT NULL,
    CONSTRAINT reason_is_known CHECK ((reason = ANY (ARRAY['no room'::text, 'refused'::text])))
);

COMMENT ON TABLE public.full_regions IS 'Regions of Fly.io that take no machine at the moment.';
COMMENT ON COLUMN public.full_regions.reason IS 'no room: Fly.io says so where reconcile asks; refused: a create was refused for the organisation''s quota, or since the region is retired.';
COMMENT ON COLUMN public.full_regions.full_until IS 'What is not said again until then is no longer true.';

ALTER TABLE public.full_regions ADD CONSTRAINT full_regions_pkey PRIMARY KEY (region, reason);

ALTER TABLE public.full_regions ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.full_regions TO service_role;

-- installation ------------------------------------------------------------------------------------

CREATE TABLE public.installation (
    only_row boolean DEFAULT true NOT NULL,
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    tag text DEFAULT "left"((gen_random_uuid())::text, 6) NOT NULL,
    project_host text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    orphans_held integer DEFAULT 0 NOT NULL,
    reconcile_request_id bigint,
    CONSTRAINT installation_only_row_check CHECK (only_row),
    CONSTRAINT tag_is_part_of_a_name CHECK ((tag ~ '^[a-z0-9]{4,8}$'::text))
);

COMMENT ON TABLE public.installation IS 'The identity of this database: exactly one row.';
COMMENT ON COLUMN public.installation.id IS 'Random; new after installation_copied().';
COMMENT ON COLUMN public.installation.tag IS 'Part of the name of every machine, which proves whose it is.';
COMMENT ON COLUMN public.installation.project_host IS 'The host of the project that first used this database. Null: the next call that has one records it.';
COMMENT ON COLUMN public.installation.orphans_held IS 'Machines without a row that reconcile does not destroy before an operator decides.';
COMMENT ON COLUMN public.installation.reconcile_request_id IS 'pg_net''s id of the newest call of reconcile.';

ALTER TABLE public.installation ADD CONSTRAINT installation_pkey PRIMARY KEY (only_row);

ALTER TABLE public.installation ENABLE ROW LEVEL SECURITY;

GRANT SELECT,UPDATE ON TABLE public.installation TO service_role;

-- machine_events ----------------------------------------------------------------------------------

CREATE TABLE public.machine_events (
    id bigint NOT NULL,
    cloud_machine_id uuid,
    request_id text NOT NULL,
    kind text NOT NULL,
    error_code text,
    duration_ms integer,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT detail_is_an_object CHECK ((jsonb_typeof(detail) = 'object'::text)),
    CONSTRAINT duration_is_not_negative CHECK ((duration_ms >= 0)),
    CONSTRAINT kind_is_known CHECK ((kind = ANY (ARRAY['claimed'::text, 'renamed'::text, 'fly_machine_recorded'::text, 'running'::text, 'failed'::text, 'handed_over'::text, 'destroy_requested'::text, 'destroyed'::text, 'interrupted'::text, 'adopted'::text, 'cleaned_up'::text, 'machine_lost'::text, 'start_requested'::text, 'stop_requested'::text, 'suspend_requested'::text, 'change_failed'::text, 'started'::text, 'stopped'::text, 'crashed'::text, 'expired'::text])))
);

ALTER TABLE public.machine_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

COMMENT ON TABLE public.machine_events IS 'Append-only history: one row per transition of a cloud machine.';
COMMENT ON COLUMN public.machine_events.cloud_machine_id IS 'The machine''s row.';
COMMENT ON COLUMN public.machine_events.request_id IS 'x-request-id of the call that caused it.';
COMMENT ON COLUMN public.machine_events.kind IS 'What happened.';
COMMENT ON COLUMN public.machine_events.error_code IS 'For failures: the code of the row or the answer; machine_stopped for a machine that stopped although nobody asked.';
COMMENT ON COLUMN public.machine_events.duration_ms IS 'Milliseconds since the call that caused the event began.';
COMMENT ON COLUMN public.machine_events.detail IS 'What else an operator may want to know; never a secret.';

ALTER TABLE public.machine_events ADD CONSTRAINT machine_events_pkey PRIMARY KEY (id);

ALTER TABLE public.machine_events ADD CONSTRAINT machine_events_cloud_machine_id_fkey FOREIGN KEY (cloud_machine_id) REFERENCES public.cloud_machines(id) ON DELETE CASCADE;

CREATE INDEX machine_events_attempts ON public.machine_events USING btree (id DESC) WHERE (kind = ANY (ARRAY['running'::text, 'adopted'::text, 'failed'::text, 'interrupted'::text]));
CREATE UNIQUE INDEX machine_events_call ON public.machine_events USING btree (((detail ->> 'call'::text))) WHERE ((cloud_machine_id IS NULL) AND (detail ? 'call'::text));
CREATE INDEX machine_events_cloud_machine_id ON public.machine_events USING btree (cloud_machine_id, id);
CREATE INDEX machine_events_created_at ON public.machine_events USING brin (created_at);
CREATE INDEX machine_events_failures ON public.machine_events USING btree (error_code, created_at DESC, id DESC) INCLUDE (cloud_machine_id) WHERE (kind = ANY (ARRAY['failed'::text, 'interrupted'::text, 'machine_lost'::text, 'crashed'::text]));

CREATE TRIGGER machine_events_after_insert AFTER INSERT ON public.machine_events FOR EACH ROW EXECUTE FUNCTION public.machine_events_after_insert();
CREATE TRIGGER machine_events_are_append_only BEFORE UPDATE ON public.machine_events FOR EACH ROW EXECUTE FUNCTION public.machine_events_are_append_only();

ALTER TABLE public.machine_events ENABLE ROW LEVEL SECURITY;

CREATE POLICY "Owners read the events of their own machines" ON public.machine_events FOR SELECT TO authenticated USING ((EXISTS ( SELECT 1
   FROM public.cloud_machines m
  WHERE ((m.id = machine_events.cloud_machine_id) AND (m.user_id = ( SELECT auth.uid() AS uid))))));

GRANT SELECT ON TABLE public.machine_events TO authenticated;
GRANT SELECT,INSERT ON TABLE public.machine_events TO service_role;

ALTER PUBLICATION supabase_realtime ADD TABLE ONLY public.machine_events;

-- metric_counters ---------------------------------------------------------------------------------

CREATE TABLE public.metric_counters (
    metric text NOT NULL,
    labels jsonb NOT NULL,
    shard smallint NOT NULL,
    value bigint NOT NULL
);

COMMENT ON TABLE public.metric_counters IS 'Running totals. The sum over the shards of a metric and its labels is its value.';
COMMENT ON COLUMN public.metric_counters.labels IS 'Prometheus labels.';
COMMENT ON COLUMN public.metric_counters.shard IS 'Spreads one hot total over several rows, so that concurrent calls do not queue for it.';

ALTER TABLE public.metric_counters ADD CONSTRAINT metric_counters_pkey PRIMARY KEY (metric, labels, shard);

ALTER TABLE public.metric_counters ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.metric_counters TO service_role;

-- metric_durations --------------------------------------------------------------------------------

CREATE TABLE public.metric_durations (
    outcome text NOT NULL,
    shard smallint NOT NULL,
    buckets bigint[] NOT NULL,
    sum_ms bigint NOT NULL
);

COMMENT ON TABLE public.metric_durations IS 'How long provisioning took, as a histogram per outcome.';
COMMENT ON COLUMN public.metric_durations.buckets IS 'How many fell into each bucket of metric_duration_bounds_ms(); the last one is everything longer.';

ALTER TABLE public.metric_durations ADD CONSTRAINT metric_durations_pkey PRIMARY KEY (outcome, shard);

ALTER TABLE public.metric_durations ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,UPDATE ON TABLE public.metric_durations TO service_role;

-- pooled_machines ---------------------------------------------------------------------------------

CREATE TABLE public.pooled_machines (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    machine_id text NOT NULL,
    fly_app_name text NOT NULL,
    fly_machine_id text,
    create_bucket text NOT NULL,
    region text NOT NULL,
    standby text NOT NULL,
    config_hash text NOT NULL,
    websocket_url text NOT NULL,
    state text DEFAULT 'making'::text NOT NULL,
    discard_reason text,
    checked_at timestamp with time zone,
    missing_since timestamp with time zone,
    reconcile_at timestamp with time zone,
    looked_again boolean DEFAULT false NOT NULL,
    made_until timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT discarded_entry_says_why CHECK (((state = 'discarded'::text) = (discard_reason IS NOT NULL))),
    CONSTRAINT machine_id_is_a_fly_machine_name CHECK ((machine_id ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'::text)),
    CONSTRAINT other_entry_is_reconciled CHECK (((state = 'ready'::text) = (reconcile_at IS NULL))),
    CONSTRAINT ready_entry_has_a_machine CHECK (((state <> 'ready'::text) OR ((fly_machine_id IS NOT NULL) AND (checked_at IS NOT NULL)))),
    CONSTRAINT standby_is_known CHECK ((standby = ANY (ARRAY['stopped'::text, 'started'::text]))),
    CONSTRAINT state_is_known CHECK ((state = ANY (ARRAY['making'::text, 'ready'::text, 'discarded'::text])))
);

COMMENT ON TABLE public.pooled_machines IS 'Machines that stand by for the next claim, and those that reconcile still has to destroy. An entry is deleted once it is a user''s or its machine is gone.';
COMMENT ON COLUMN public.pooled_machines.machine_id IS 'The Fly machine''s name, and that of its app; the user''s row gets it.';
COMMENT ON COLUMN public.pooled_machines.fly_machine_id IS 'Fly.io''s id, once the machine and its addresses have been made.';
COMMENT ON COLUMN public.pooled_machines.create_bucket IS 'What the create was paced with: the organisation.';
COMMENT ON COLUMN public.pooled_machines.standby IS 'The state in which it stands by: stopped or started.';
COMMENT ON COLUMN public.pooled_machines.config_hash IS 'Of everything that the machine was made with; a claim takes only an entry of its own configuration.';
COMMENT ON COLUMN public.pooled_machines.websocket_url IS 'As a user''s row gets it.';
COMMENT ON COLUMN public.pooled_machines.state IS 'making; ready; discarded: reconcile destroys it.';
COMMENT ON COLUMN public.pooled_machines.checked_at IS 'When Fly.io''s list last showed it standing by.';
COMMENT ON COLUMN public.pooled_machines.missing_since IS 'When a complete list first lacked it; such an entry is not taken.';
COMMENT ON COLUMN public.pooled_machines.reconcile_at IS 'From then on reconcile destroys it. Null: it is ready.';
COMMENT ON COLUMN public.pooled_machines.looked_again IS 'Nothing was found to destroy; a create may still land, so there is one more look.';
COMMENT ON COLUMN public.pooled_machines.made_until IS 'What is not ready by then is discarded.';

ALTER TABLE public.pooled_machines ADD CONSTRAINT pooled_machines_machine_id_key UNIQUE (machine_id);
ALTER TABLE public.pooled_machines ADD CONSTRAINT pooled_machines_pkey PRIMARY KEY (id);

CREATE INDEX pooled_machines_reconcile_at ON public.pooled_machines USING btree (reconcile_at) WHERE (reconcile_at IS NOT NULL);
CREATE INDEX pooled_machines_state ON public.pooled_machines USING btree (state, created_at);

CREATE TRIGGER pooled_machines_before_write BEFORE INSERT OR UPDATE ON public.pooled_machines FOR EACH ROW EXECUTE FUNCTION public.pooled_machines_before_write();

ALTER TABLE public.pooled_machines ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.pooled_machines TO service_role;

-- reconcile_runs ----------------------------------------------------------------------------------

CREATE TABLE public.reconcile_runs (
    id bigint NOT NULL,
    request_id text NOT NULL,
    duration_ms integer NOT NULL,
    counts jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT counts_is_an_object CHECK ((jsonb_typeof(counts) = 'object'::text)),
    CONSTRAINT duration_is_not_negative CHECK ((duration_ms >= 0))
);

ALTER TABLE public.reconcile_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY;

COMMENT ON TABLE public.reconcile_runs IS 'Append-only: one row per finished run of reconcile.';
COMMENT ON COLUMN public.reconcile_runs.request_id IS 'x-request-id of the run.';
COMMENT ON COLUMN public.reconcile_runs.duration_ms IS 'How long the run took.';
COMMENT ON COLUMN public.reconcile_runs.counts IS 'How many of each action the run took.';

ALTER TABLE public.reconcile_runs ADD CONSTRAINT reconcile_runs_pkey PRIMARY KEY (id);

CREATE INDEX reconcile_runs_created_at ON public.reconcile_runs USING btree (created_at DESC);

CREATE TRIGGER reconcile_runs_after_insert AFTER INSERT ON public.reconcile_runs FOR EACH ROW EXECUTE FUNCTION public.reconcile_runs_after_insert();

ALTER TABLE public.reconcile_runs ENABLE ROW LEVEL SECURITY;

GRANT SELECT,INSERT ON TABLE public.reconcile_runs TO service_role;

-- machine_usage -----------------------------------------------------------------------------------

CREATE VIEW public.machine_usage WITH (security_invoker='true') AS
 SELECT m.user_id,
    m.machine_id,
    used.day,
    used.running_seconds,
    used.stopped_seconds
   FROM (public.cloud_machines m
     CROSS JOIN LATERAL ( SELECT (day.day)::date AS day,
            (round(sum(part.seconds) FILTER (WHERE (states.state = 'running'::text)), 3))::double precision AS running_seconds,
            (round(sum(part.seconds) FILTER (WHERE (states.state = 'stopped'::text)), 3))::double precision AS stopped_seconds
           FROM ((( SELECT at.since,
                    COALESCE(lead(at.since) OVER (ORDER BY e.id), now()) AS until,
                        CASE
                            WHEN (e.kind = ANY (ARRAY['running'::text, 'adopted'::text, 'started'::text])) THEN 'running'::text
                            WHEN ((e.kind = 'stopped'::text) OR ((e.kind = 'crashed'::text) AND (e.error_code = 'machine_stopped'::text))) THEN 'stopped'::text
                            ELSE 'gone'::text
                        END AS state
                   FROM (public.machine_events e
                     CROSS JOIN LATERAL ( SELECT LEAST(e.created_at, COALESCE(((e.detail ->> 'happenedAt'::text))::timestamp with time zone, e.created_at)) AS since) at)
                  WHERE ((e.cloud_machine_id = m.id) AND (e.kind = ANY (ARRAY['running'::text, 'adopted'::text, 'started'::text, 'stopped'::text, 'crashed'::text, 'failed'::text, 'interrupted'::text, 'machine_lost'::text, 'destroyed'::text])))) states
             CROSS JOIN LATERAL generate_series(date_trunc('day'::text, states.since), states.until, '1 day'::interval) day(day))
             CROSS JOIN LATERAL ( SELECT GREATEST(EXTRACT(epoch FROM (LEAST(states.until, (day.day + '1 day'::interval)) - GREATEST(states.since, day.day))), (0)::numeric) AS seconds) part)
          WHERE (states.state <> 'gone'::text)
          GROUP BY day.day) used);

COMMENT ON VIEW public.machine_usage IS 'Seconds that each machine ran and was stopped, by day (UTC), from the events alone. Owners see their own.';

GRANT ALL ON TABLE public.machine_usage TO service_role;
GRANT SELECT ON TABLE public.machine_usage TO authenticated;

-- add_pooled_machine ------------------------------------------------------------------------------

CREATE FUNCTION public.add_pooled_machine(
    p_name_prefix text,
    p_random text,
    p_create_bucket text,
    p_region text,
    p_standby text,
    p_config_hash text,
    p_websocket_url_template text,
    p_pool_size integer,
    p_max_machines integer,
    p_rate_per_second numeric,
    p_make_within_ms integer
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_name constant text :=
    p_name_prefix || '-' || (select tag from public.installation) || '-' || p_random;
  v_interval constant interval := make_interval(secs => (1 / p_rate_per_second)::double precision);
  v_entry public.pooled_machines;
  v_full_at timestamptz;
  v_now timestamptz;
begin
  -- As in a claim: one at a time counts, so that two never take the last place.
  perform pg_advisory_xact_lock(hashtextextended('provision-machine: all machines', 0));
  -- The same call again: its answer was lost.
  select * into v_entry from public.pooled_machines where machine_id = v_name;
  if found then
    return jsonb_build_object('outcome', 'added', 'entry', to_jsonb(v_entry));
  end if;
  if (
    select count(*) from public.pooled_machines where state <> 'discarded'
  ) >= public.pool_target(p_pool_size, p_max_machines)
    or public.count_machines(p_max_machines) >= p_max_machines then
    return jsonb_build_object('outcome', 'enough');
  end if;

  insert into public.fly_create_buckets (app_name) values (p_create_bucket) on conflict do nothing;
  select full_at into v_full_at from public.fly_create_buckets where app_name = p_create_bucket for update;
  v_now := clock_timestamp();
  -- Only what users leave over: the bucket is full, so their next burst still finds all but one.
  if v_full_at > v_now or exists (
    select 1 from public.fly_create_slots
    where app_name = p_create_bucket and cloud_machine_id is not null and slot_at > v_now
  ) then
    return jsonb_build_object(
      'outcome', 'busy', 'wait_ms', greatest(ceil(extract(epoch from v_full_at - v_now) * 1000), 0)
    );
  end if;
  update public.fly_create_buckets set full_at = v_now + v_interval where app_name = p_create_bucket;

  insert into public.pooled_machines (
    machine_id, fly_app_name, create_bucket, region, standby, config_hash, websocket_url,
    made_until, reconcile_at
  ) values (
    v_name, v_name, p_create_bucket, p_region, p_standby, p_config_hash,
    replace(replace(p_websocket_url_template, '{app}', v_name), '{machineId}', v_name),
    now() + make_interval(secs => p_make_within_ms / 1000.0),
    -- Its maker is done by then, or dead.
    now() + interval '2 minutes'
  ) returning * into v_entry;
  return jsonb_build_object('outcome', 'added', 'entry', to_jsonb(v_entry));
end
$$;

COMMENT ON FUNCTION public.add_pooled_machine IS 'Writes an entry before its machine is made. outcome: added; enough (the pool, or MAX_MACHINES, is full); busy (users have all creates for at least wait_ms).';

REVOKE ALL ON FUNCTION public.add_pooled_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_pooled_machine TO service_role;

-- add_to_durations --------------------------------------------------------------------------------

CREATE FUNCTION public.add_to_durations(p_outcome text, p_ms bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_bounds constant integer[] := public.metric_duration_bounds_ms();
  -- The first bucket whose bound is not exceeded; width_bucket counts a bound to the next one.
  v_bucket constant integer := width_bucket(p_ms - 1, v_bounds) + 1;
begin
  insert into public.metric_durations as d (outcome, shard, buckets, sum_ms)
  values (p_outcome, pg_backend_pid() % 8, array_fill(0::bigint, array[cardinality(v_bounds) + 1]), 0)
  on conflict (outcome, shard) do nothing;
  update public.metric_durations
  set buckets[v_bucket] = buckets[v_bucket] + 1, sum_ms = sum_ms + p_ms
  where outcome = p_outcome and shard = pg_backend_pid() % 8;
end
$$;

REVOKE ALL ON FUNCTION public.add_to_durations FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_to_durations TO service_role;

-- add_to_metric -----------------------------------------------------------------------------------

CREATE FUNCTION public.add_to_metric(
    p_metric text,
    p_labels jsonb,
    p_by bigint DEFAULT 1
) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  insert into public.metric_counters as c (metric, labels, shard, value)
  values (p_metric, p_labels, pg_backend_pid() % 8, p_by)
  on conflict (metric, labels, shard) do update set value = c.value + excluded.value
$$;

REVOKE ALL ON FUNCTION public.add_to_metric FROM PUBLIC;
GRANT ALL ON FUNCTION public.add_to_metric TO service_role;

-- adopt_orphan ------------------------------------------------------------------------------------

CREATE FUNCTION public.adopt_orphan(
    p_machine_id text,
    p_fly_machine_id text,
    p_fly_app_name text,
    p_region text,
    p_cpu_priority text,
    p_user_id uuid,
    p_websocket_url text,
    p_request_id text,
    p_create_bucket text DEFAULT NULL::text
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_id uuid;
begin
  insert into public.cloud_machines (
    machine_id, fly_machine_id, fly_app_name, create_bucket, region, cpu_priority, user_id, status,
    websocket_url, request_hash, request_id, deadline_at, provisioned_at
  ) values (
    p_machine_id, p_fly_machine_id, p_fly_app_name, p_create_bucket, p_region, p_cpu_priority,
    p_user_id, 'running', p_websocket_url, '', p_request_id, now(), now()
  )
  on conflict (machine_id) do nothing
  returning id into v_id;
  if v_id is null then
    return jsonb_build_object('outcome', 'conflict');
  end if;
  insert into public.machine_events (cloud_machine_id, request_id, kind)
  values (v_id, p_request_id, 'adopted');
  return jsonb_build_object('outcome', 'applied');
exception when foreign_key_violation then
  return jsonb_build_object('outcome', 'unknown_user');
end
$$;

COMMENT ON FUNCTION public.adopt_orphan IS 'Writes the row of a machine that has none, from what Fly.io knows of it, after a restored backup. outcome: applied, conflict, unknown_user.';

REVOKE ALL ON FUNCTION public.adopt_orphan FROM PUBLIC;
GRANT ALL ON FUNCTION public.adopt_orphan TO service_role;

-- begin_reconcile ---------------------------------------------------------------------------------

CREATE FUNCTION public.begin_reconcile(p_project_host text DEFAULT NULL::text) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_buckets jsonb;
  v_fenced constant boolean := public.is_fenced(p_project_host);
begin
  -- One step of the index for each bucket: there are few.
  with recursive buckets (name) as (
    (
      select create_bucket from public.cloud_machines
      where status in ('running', 'stopped') and create_bucket is not null
      order by create_bucket limit 1
    )
    union all
    select (
      select m.create_bucket from public.cloud_machines m
      where m.status in ('running', 'stopped') and m.create_bucket > b.name
      order by m.create_bucket limit 1
    )
    from buckets b where b.name is not null
  )
  select coalesce(jsonb_agg(name), '[]') into v_buckets from buckets where name is not null;
  return (
    select jsonb_build_object(
      'fenced', v_fenced, 'tag', tag, 'orphans_held', orphans_held, 'buckets', v_buckets
    )
    from public.installation
  );
end
$$;

COMMENT ON FUNCTION public.begin_reconcile IS 'What a run of reconcile has to know first: whether this database belongs to its project, the tag in the names of its machines, how many machines without a row are held back, and where its live machines were made: the shared apps, and org: with an organisation.';

REVOKE ALL ON FUNCTION public.begin_reconcile FROM PUBLIC;
GRANT ALL ON FUNCTION public.begin_reconcile TO service_role;

-- claim_machine -----------------------------------------------------------------------------------

CREATE FUNCTION public.claim_machine(
    p_user_id uuid,
    p_machine_id text,
    p_region text,
    p_cpu_priority text,
    p_request_id text,
    p_request_hash text,
    p_machine_limit integer,
    p_timeout_ms integer,
    p_rate_per_second numeric,
    p_burst integer,
    p_wait_at_most_ms integer,
    p_fly_app_names text[] DEFAULT NULL::text[],
    p_websocket_url_template text DEFAULT NULL::text,
    p_idempotency_key text DEFAULT NULL::text,
    p_error_code text DEFAULT NULL::text,
    p_error_message text DEFAULT NULL::text,
    p_name_prefix text DEFAULT NULL::text,
    p_project_host text DEFAULT NULL::text,
    p_own_app boolean DEFAULT false,
    p_max_machines integer DEFAULT NULL::integer,
    p_provisions_per_hour integer DEFAULT NULL::integer,
    p_paused boolean DEFAULT false,
    p_config_hash text DEFAULT NULL::text,
    p_pooled_for_ms integer DEFAULT 180000
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_machine public.cloud_machines;
  v_pooled public.pooled_machines;
  v_status text;
  v_slot_at timestamptz;
  v_wait_ms integer := 0;
  v_granted boolean;
  -- What is paced: the app that machines share, or the organisation in which each gets its own.
  v_bucket text := p_fly_app_names[1];
  v_app_name text;
  v_error_code text := p_error_code;
  v_error_message text := p_error_message;
  v_machine_id text := p_machine_id;
  v_fenced boolean;
  v_user_state text;
  v_limit constant integer := coalesce(public.machine_limit(p_user_id), p_machine_limit);
  v_first_at timestamptz;
  v_live integer := 0;
begin
  v_fenced := public.is_fenced(p_project_host);
  if p_name_prefix is not null then
    v_machine_id := p_name_prefix || '-' || (select tag from public.installation) || '-' || p_machine_id;
  end if;

  -- Calls of one user queue here, so that neither the key nor the limit can be raced.
  perform pg_advisory_xact_lock(hashtextextended('provision-machine:' || p_user_id::text, 0));
  -- Before any lock that others share: while this user is being deleted, only their own claims wait.
  v_user_state := public.lock_user(p_user_id);

  -- machine_id is random and new for each request, so finding it means that this very call was
  -- made before and its answer was lost. The owner may have been deleted since.
  select * into v_machine from public.cloud_machines
  where request_id = p_request_id
    and (
      machine_id = v_machine_id
      -- It has had another name since, such as that of a machine of the pool, and remembers
      -- the name that it was claimed under.
      or (former_machine_ids <> '{}' and former_machine_ids @> array[v_machine_id])
    )
    and (user_id = p_user_id or user_id is null);
  if found then
    select greatest(ceil(extract(epoch from slot_at - clock_timestamp()) * 1000), 0) into v_wait_ms
    from public.fly_create_slots where cloud_machine_id = v_machine.id;
    return jsonb_build_object(
      'outcome', case
        when v_fenced then 'fenced'
        when v_machine.error_code is not distinct from p_error_code then 'claimed'
        else 'no_slot'
      end,
      'machine', to_jsonb(v_machine),
      'wait_ms', coalesce(v_wait_ms, 0),
      'pooled', exists (
        select 1 from public.machine_events
        where cloud_machine_id = v_machine.id and kind = 'claimed' and detail ? 'pooled'
      )
    );
  end if;

  -- Also before a replay: a token of theirs is accepted until it expires.
  if v_user_state is distinct from 'active' then
    return jsonb_build_object(
      'outcome', 'unknown_user', 'machine', null, 'banned', coalesce(v_user_state = 'banned', false)
    );
  end if;

  if p_idempotency_key is not null then
    select * into v_machine from public.cloud_machines
    where user_id = p_user_id and idempotency_key = p_idempotency_key;
    if found then
      return jsonb_build_object(
        'outcome', case when v_machine.request_hash = p_request_hash then 'replayed' else 'key_reused' end,
        'machine', to_jsonb(v_machine)
      );
    end if;
  end if;

  if v_fenced then
    v_error_code := 'configuration_error';
    v_error_message := 'This database belongs to another project';
  end if;

  if p_paused then
    return jsonb_build_object('outcome', 'paused');
  end if;
  -- The oldest of the rows that fill the user's hour.
  select created_at into v_first_at from public.cloud_machines
  where user_id = p_user_id and created_at > now() - interval '1 hour'
  order by created_at desc limit 1 offset p_provisions_per_hour - 1;
  if p_provisions_per_hour is not null and found then
    return jsonb_build_object(
      'outcome', 'too_many_requests',
      'wait_ms', ceil(extract(epoch from v_first_at + interval '1 hour' - now()) * 1000)
    );
  end if;

  -- A call that is already known to fail creates nothing at Fly.io, so no limit applies to it.
  if v_error_code is null then
    select * into v_machine from public.cloud_machines
    where user_id = p_user_id and status in ('provisioning', 'running', 'stopped')
    order by created_at desc
    limit 1
    offset greatest(v_limit, 1) - 1;
    if found or v_limit < 1 then
      select * into v_machine from public.cloud_machines
      where user_id = p_user_id and status in ('provisioning', 'running', 'stopped')
      order by created_at desc
      limit 1;
      return jsonb_build_object(
        'outcome', 'limit_reached',
        'machine', case when v_machine.id is not null then to_jsonb(v_machine) end
      );
    end if;

    if p_config_hash is not null then
      select * into v_pooled from public.take_pooled_machine(p_config_hash);
      perform public.add_to_metric('pool_claims', jsonb_build_object(
        'outcome', case when v_pooled.id is null then 'miss' else 'hit' end
      ));
    end if;

    -- A machine of the pool is counted already.
    if p_max_machines is not null and v_pooled.id is null then
      -- One claim at a time counts, so that two never take the last place.
      perform pg_advisory_xact_lock(hashtextextended('provision-machine: all machines', 0));
      v_live := public.count_machines(p_max_machines);
      if v_live >= p_max_machines then
        return jsonb_build_object('outcome', 'fleet_full');
      end if;
    end if;
  end if;

  if v_error_code is null and v_pooled.id is null then
    select slot.app_name, slot.slot_at, slot.wait_ms, slot.granted
    into v_bucket, v_slot_at, v_wait_ms, v_granted
    from public.reserve_create_slot(
      p_fly_app_names, p_user_id, p_rate_per_second, p_burst, p_wait_at_most_ms
    ) slot;
    if not v_granted then
      v_error_code := 'fly_rate_limited';
      v_error_message := 'Too many machines are waiting to be created at Fly.io';
    end if;
  end if;

  v_app_name := case when p_own_app and v_bucket is not null then v_machine_id else v_bucket end;
  v_status := case
    when v_error_code is not null then 'error'
    -- Seen started so lately that nobody need ask again.
    when v_pooled.standby = 'started'
      and v_pooled.checked_at > now() - make_interval(secs => p_pooled_for_ms / 1000.0) then 'running'
    else 'provisioning'
  end;
  insert into public.cloud_machines (
    user_id, machine_id, fly_app_name, create_bucket, region, cpu_priority,
    status, error_code, error_message,
    websocket_url, idempotency_key, request_hash, request_id,
    deadline_at, reconcile_at,
    fly_machine_id, former_machine_ids, provisioned_at
  ) values (
    p_user_id, coalesce(v_pooled.machine_id, v_machine_id), coalesce(v_pooled.fly_app_name, v_app_name),
    coalesce(v_pooled.create_bucket, v_bucket), coalesce(v_pooled.region, p_region), p_cpu_priority,
    v_status, v_error_code, left(v_error_message, 2000),
    coalesce(
      v_pooled.websocket_url,
      replace(replace(p_websocket_url_template, '{app}', v_app_name), '{machineId}', v_machine_id)
    ),
    p_idempotency_key, p_request_hash, p_request_id,
    now() + make_interval(secs => p_timeout_ms / 1000.0),
    case when v_status = 'provisioning' then now() + make_interval(secs => p_timeout_ms / 1000.0) end,
    v_pooled.fly_machine_id,
    case when v_pooled.id is null then '{}' else array[v_machine_id] end,
    case when v_status = 'running' then now() end
  ) returning * into v_machine;

  if v_error_code is null and v_wait_ms > 0 then
    insert into public.fly_create_slots (app_name, slot_at, cloud_machine_id, user_id)
    values (v_bucket, v_slot_at, v_machine.id, p_user_id);
  end if;

  insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
  values (
    v_machine.id, p_request_id,
    case when v_error_code is null then 'claimed' else 'failed' end, v_error_code, 0,
    case when v_pooled.id is null then '{}' else '{"pooled": true}' end::jsonb
  );
  if v_status = 'running' then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (v_machine.id, p_request_id, 'running', 0, '{"pooled": true}');
  end if;

  return jsonb_build_object(
    'outcome', case
      when v_fenced then 'fenced'
      when v_error_code is not distinct from p_error_code then 'claimed'
      else 'no_slot'
    end,
    'machine', to_jsonb(v_machine),
    'wait_ms', v_wait_ms,
    'pooled', v_pooled.id is not null,
    'full_regions', public.read_full_regions(),
    'needs_attention', public.reconcile_problem() is not null
      or coalesce(v_live + 1 >= 0.8 * p_max_machines, false)
  );
end
$$;

COMMENT ON FUNCTION public.claim_machine IS 'Writes a machine''s row, or says why not. With p_name_prefix its name is prefix-tag-p_machine_id. p_own_app: its app has that name too, and p_fly_app_names name what is paced. outcome: claimed (the create may be sent in wait_ms), replayed, key_reused, limit_reached, no_slot (the row was written as error; the next slot is wait_ms away), fenced (the row was written as error), and without a row: unknown_user (deleted or banned), paused, too_many_requests (the user may have another in wait_ms), fleet_full. With p_error_code the row is written as error at once. needs_attention: an alert may be due. p_config_hash: a machine of the pool with this configuration is taken where there is one (pooled); its row is running where it was seen started within p_pooled_for_ms. full_regions: those that take no machine at the moment.';

REVOKE ALL ON FUNCTION public.claim_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.claim_machine TO service_role;

-- cloud_machines_after_close ----------------------------------------------------------------------

CREATE FUNCTION public.cloud_machines_after_close() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  perform public.give_back_create_slot(new.id);
  return null;
end
$$;

REVOKE ALL ON FUNCTION public.cloud_machines_after_close FROM PUBLIC;
GRANT ALL ON FUNCTION public.cloud_machines_after_close TO service_role;

-- cloud_machines_before_update --------------------------------------------------------------------

CREATE FUNCTION public.cloud_machines_before_update() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  new.updated_at := now();

  if new.status <> old.status and not (
    (old.status = 'provisioning' and new.status in ('running', 'error', 'destroyed'))
    or (old.status = 'running' and new.status in ('stopped', 'error', 'destroyed'))
    or (old.status = 'stopped' and new.status in ('running', 'error', 'destroyed'))
    or (old.status = 'error' and new.status = 'destroyed')
    or (old.status = 'error' and old.error_code = 'machine_lost' and new.status = 'running')
  ) then
    raise exception 'cloud_machines: % cannot become %', old.status, new.status
      using errcode = 'check_violation';
  end if;
  if new.status not in ('running', 'stopped') then
    new.missing_since := null;
  end if;
  if new.status <> old.status then
    new.failed_since := null;
  end if;
  if new.status <> 'stopped' then
    new.stop_reason := null;
  end if;

  -- The owner was deleted, so nobody else will ask for this machine to be destroyed.
  if old.user_id is not null and new.user_id is null
    and new.status in ('provisioning', 'running', 'stopped') then
    new.destroy_requested_at := coalesce(new.destroy_requested_at, now());
    new.reconcile_at := least(new.reconcile_at, now());
  end if;

  return new;
end
$$;

REVOKE ALL ON FUNCTION public.cloud_machines_before_update FROM PUBLIC;

-- cloud_machines_count ----------------------------------------------------------------------------

CREATE FUNCTION public.cloud_machines_count() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_change record;
begin
  -- Always in the order of the labels: two calls that count in opposite orders would wait for each
  -- other for good.
  for v_change in
    select labels, delta from (
      values
        (case when tg_op <> 'INSERT' then jsonb_build_object('status', old.status, 'region', old.region) end, -1),
        (case when tg_op <> 'DELETE' then jsonb_build_object('status', new.status, 'region', new.region) end, 1)
    ) as changes (labels, delta)
    where labels is not null
    order by labels
  loop
    perform public.add_to_metric('machines', v_change.labels, v_change.delta);
  end loop;
  return null;
end
$$;

REVOKE ALL ON FUNCTION public.cloud_machines_count FROM PUBLIC;
GRANT ALL ON FUNCTION public.cloud_machines_count TO service_role;

-- cloud_machines_fill_in_fly_id -------------------------------------------------------------------

CREATE FUNCTION public.cloud_machines_fill_in_fly_id() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if position('{flyMachineId}' in new.websocket_url) > 0 then
    new.websocket_url_template := new.websocket_url;
  end if;
  if new.websocket_url_template is not null then
    -- Null as long as the id is.
    new.websocket_url := replace(new.websocket_url_template, '{flyMachineId}', new.fly_machine_id);
  end if;
  return new;
end
$$;

REVOKE ALL ON FUNCTION public.cloud_machines_fill_in_fly_id FROM PUBLIC;
GRANT ALL ON FUNCTION public.cloud_machines_fill_in_fly_id TO service_role;

-- cloud_machines_refuse_a_used_name ---------------------------------------------------------------

CREATE FUNCTION public.cloud_machines_refuse_a_used_name() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if exists (
    select 1 from public.cloud_machines
    where former_machine_ids <> '{}' and former_machine_ids @> array[new.machine_id]
  ) then
    raise exception 'cloud_machines: % was the name of another row', new.machine_id
      using errcode = 'unique_violation';
  end if;
  return new;
end
$$;

REVOKE ALL ON FUNCTION public.cloud_machines_refuse_a_used_name FROM PUBLIC;
GRANT ALL ON FUNCTION public.cloud_machines_refuse_a_used_name TO service_role;

-- cloud_machines_reset_attempts -------------------------------------------------------------------

CREATE FUNCTION public.cloud_machines_reset_attempts() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  new.reconcile_attempts := 0;
  return new;
end
$$;

REVOKE ALL ON FUNCTION public.cloud_machines_reset_attempts FROM PUBLIC;
GRANT ALL ON FUNCTION public.cloud_machines_reset_attempts TO service_role;

-- count_machines ----------------------------------------------------------------------------------

CREATE FUNCTION public.count_machines(p_at_most integer) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select least(p_at_most, count(*))::integer from (
    (
      select 1 from public.cloud_machines
      where status in ('provisioning', 'running', 'stopped') limit p_at_most
    )
    union all
    (select 1 from public.pooled_machines limit p_at_most)
  ) machines
$$;

COMMENT ON FUNCTION public.count_machines IS 'Live machines of the whole project, the pool included; p_at_most where there are more.';

REVOKE ALL ON FUNCTION public.count_machines FROM PUBLIC;
GRANT ALL ON FUNCTION public.count_machines TO service_role;

-- count_refused -----------------------------------------------------------------------------------

CREATE FUNCTION public.count_refused(p_counts jsonb) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  select public.add_to_metric('refused', jsonb_build_object('code', code), n::bigint)
  from jsonb_each_text(p_counts) as counts (code, n)
$$;

COMMENT ON FUNCTION public.count_refused IS 'Adds what an isolate has refused since it last said so, by code, to the metrics.';

REVOKE ALL ON FUNCTION public.count_refused FROM PUBLIC;
GRANT ALL ON FUNCTION public.count_refused TO service_role;

-- delay_creates -----------------------------------------------------------------------------------

CREATE FUNCTION public.delay_creates(
    p_id uuid,
    p_retry_after_ms integer,
    p_rate_per_second numeric,
    p_burst integer
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_interval constant interval := make_interval(secs => (1 / p_rate_per_second)::double precision);
  v_app_name text;
  v_user_id uuid;
  v_resume_at timestamptz;
  v_first_at timestamptz;
  v_delay interval;
begin
  -- The new slot's foreign key locks the row. Locked only then, after the slots, it would be locked in
  -- the opposite order to whoever closes the row meanwhile and gives back its slot: a deadlock.
  select coalesce(create_bucket, fly_app_name), user_id into v_app_name, v_user_id from public.cloud_machines
  where id = p_id for key share;
  perform 1 from public.fly_create_buckets b where b.app_name = v_app_name for update;
  if not found then
    return jsonb_build_object('outcome', 'wait', 'wait_ms', p_retry_after_ms);
  end if;

  v_resume_at := clock_timestamp() + greatest(make_interval(secs => p_retry_after_ms / 1000.0), v_interval);
  select min(slot_at) into v_first_at from public.fly_create_slots
  where app_name = v_app_name and slot_at > clock_timestamp();
  -- Whoever was refused goes first; everybody else moves back to make room.
  v_delay := greatest(v_resume_at + v_interval - v_first_at, interval '0');
  update public.fly_create_slots set slot_at = slot_at + v_delay
  where app_name = v_app_name and slot_at > clock_timestamp() and v_delay > interval '0';
  update public.fly_create_buckets
  set full_at = greatest(full_at + coalesce(v_delay, interval '0'), v_resume_at + p_burst * v_interval)
  where app_name = v_app_name;
  insert into public.fly_create_slots (app_name, slot_at, cloud_machine_id, user_id)
  values (v_app_name, v_resume_at, p_id, v_user_id)
  on conflict (cloud_machine_id) do update set slot_at = excluded.slot_at;
  return jsonb_build_object(
    'outcome', 'wait',
    'wait_ms', ceil(extract(epoch from v_resume_at - clock_timestamp()) * 1000)
  );
end
$$;

COMMENT ON FUNCTION public.delay_creates IS 'Fly.io answered 429 all the same: its bucket is empty, so everybody''s slots move back.';

REVOKE ALL ON FUNCTION public.delay_creates FROM PUBLIC;
GRANT ALL ON FUNCTION public.delay_creates TO service_role;

-- discard_pooled_machine --------------------------------------------------------------------------

CREATE FUNCTION public.discard_pooled_machine(p_id uuid, p_reason text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.pooled_machines
  set state = 'discarded', discard_reason = left(p_reason, 500), reconcile_at = now()
  where id = p_id and state <> 'discarded';
  return found;
end
$$;

COMMENT ON FUNCTION public.discard_pooled_machine IS 'Nobody gets this entry: reconcile destroys its machine. False: it is somebody''s, gone or discarded already.';

REVOKE ALL ON FUNCTION public.discard_pooled_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.discard_pooled_machine TO service_role;

-- evaluate_alerts ---------------------------------------------------------------------------------

CREATE FUNCTION public.evaluate_alerts(
    p_threshold integer,
    p_window_ms integer,
    p_cooldown_ms integer,
    p_lease_ms integer,
    p_by_reconcile boolean DEFAULT false,
    p_max_machines integer DEFAULT NULL::integer
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_state public.alert_states;
  v_now timestamptz;
  v_window_start timestamptz;
  v_threshold integer;
  v_at_once text[] := array['configuration_error', 'fly_account_limit', 'fly_unauthorized'];
  v_failures jsonb;
  v_count bigint;
  v_streak jsonb;
  v_told text[];
  v_fresh jsonb;
  v_fresh_count bigint;
  v_event text;
  v_problem text;
  v_live bigint;
  -- More failures of a code are not told apart.
  v_at_most constant integer := greatest(p_threshold, 1000);
  v_needed numeric;
  v_alert public.alerts;
  v_new jsonb := jsonb_build_array();
begin
  -- The lock is what makes one message of many failures.
  for v_state in select * from public.alert_states order by kind for update loop
    -- Read after the lock was had, and once: an index cannot be searched for a moving clock.
    v_now := clock_timestamp();
    -- What only an operator can settle fails every request: the first one is enough.
    v_threshold := case v_state.kind when 'failures' then p_threshold else 1 end;
    v_window_start := v_now - make_interval(secs => p_window_ms / 1000.0);
    v_streak := null;

    if v_state.kind = 'reconcile' then
      v_problem := public.reconcile_problem();
      -- The run that asks is not recorded yet, and it is not late any more.
      if p_by_reconcile and v_problem in ('never', 'late') then
        v_problem := null;
      end if;
      v_failures := jsonb_build_object(
        'byCode', case when v_problem is null then '{}' else jsonb_build_object('reconcile_' || v_problem, 1) end,
        'newestMachineId', null, 'windowMinutes', 10
      );
    elsif v_state.kind in ('fleet_filling', 'fleet_full') then
      v_live := public.count_machines(coalesce(p_max_machines, 0));
      v_needed := p_max_machines * case v_state.kind when 'fleet_full' then 1 else 0.8 end;
      v_failures := jsonb_build_object(
        'byCode', case when v_live >= v_needed then jsonb_build_object(v_state.kind, v_live) else '{}' end,
        'newestMachineId', null, 'windowMinutes', 10, 'limit', p_max_machines
      );
    else
      -- Only names that we made: a request's id may be a caller's. Code by code, and no further than
      -- matters: however many failures there are, as many are read.
      select jsonb_build_object(
        'byCode', coalesce(jsonb_object_agg(code, n), '{}'),
        'atLeast', coalesce(bool_or(n = v_at_most), false),
        'newestMachineId', (
          select m.machine_id from public.cloud_machines m
          where m.id = (array_agg(newest_row order by newest_at desc) filter (where newest_row is not null))[1]
        ),
        'windowMinutes', round(p_window_ms / 60000.0, 2)
      ) into v_failures
      from (
        with recursive codes (code) as (
          select min(error_code) from public.machine_events
          where kind in ('failed', 'interrupted', 'machine_lost', 'crashed')
          union all
          select (
            select min(error_code) from public.machine_events
            where kind in ('failed', 'interrupted', 'machine_lost', 'crashed') and error_code > codes.code
          ) from codes where codes.code is not null
        )
        select codes.code, counted.n, counted.newest_at, counted.newest_row
        from codes cross join lateral (
          select count(*) as n, max(created_at) as newest_at,
            (array_agg(cloud_machine_id order by created_at desc, id desc))[1] as newest_row
          from (
            select e.id, e.created_at, e.cloud_machine_id from public.machine_events e
            where e.kind in ('failed', 'interrupted', 'machine_lost', 'crashed')
              and e.error_code = codes.code and e.created_at > v_window_start
            order by e.created_at desc, e.id desc limit v_at_most
          ) newest
        ) counted
        where (codes.code = any (v_at_once)) = (v_state.kind = 'configuration') and counted.n > 0
      ) counts;
      -- The newest attempts, if all of them failed: however long that took.
      if v_state.kind = 'failures' then
        select jsonb_object_agg(error_code, n) into v_streak
        from (
          select error_code, count(*) as n, sum(count(*)) over () as failed
          from (
            select e.kind, e.error_code from public.machine_events e
            where e.kind in ('running', 'adopted', 'failed', 'interrupted')
            order by e.id desc limit v_threshold
          ) attempts
          where kind in ('failed', 'interrupted') and not error_code = any (v_at_once)
          group by error_code
        ) failures
        where failed = v_threshold;
      end if;
    end if;

    select coalesce(sum(value::bigint), 0) into v_count from jsonb_each_text(v_failures -> 'byCode');
    select coalesce(array_agg(code), '{}') into v_told from public.alert_codes
    where kind = v_state.kind and last_alert_at > v_now - make_interval(secs => p_cooldown_ms / 1000.0);
    -- What the cooldown of its own code does not keep back.
    v_fresh := (v_failures -> 'byCode') - v_told;
    select coalesce(sum(value::bigint), 0) into v_fresh_count from jsonb_each_text(v_fresh);

    v_event := null;
    if v_fresh_count >= v_threshold then
      v_event := 'firing';
      v_failures := v_failures || jsonb_build_object('byCode', v_fresh, 'count', v_fresh_count);
    elsif v_streak is not null and v_fresh_count > 0 and v_fresh ?| array(select jsonb_object_keys(v_streak)) then
      v_event := 'firing';
      v_failures := v_failures || jsonb_build_object('byCode', v_streak, 'count', v_threshold, 'streak', true);
    elsif not v_state.firing and (v_count >= v_threshold or (v_streak is not null and v_count > 0)) then
      -- Told recovered and failing again: not now, but not never either.
      update public.alert_states set held_back = v_failures || jsonb_build_object('count', v_count)
      where kind = v_state.kind;
    elsif v_state.held_back is not null
      and not (v_state.held_back -> 'byCode') ?| v_told then
      v_event := 'firing';
      v_failures := v_state.held_back;
    elsif v_state.firing and v_count = 0 then
      v_event := 'recovered';
      v_failures := v_failures || jsonb_build_object('count', 0);
    end if;
    continue when v_event is null;

    update public.alert_states set firing = (v_event = 'firing'), held_back = null
    where kind = v_state.kind;
    if v_event = 'firing' then
      insert into public.alert_codes (kind, code, last_alert_at)
      select v_state.kind, code, v_now from jsonb_object_keys(v_failures -> 'byCode') as code
      on conflict (kind, code) do update set last_alert_at = excluded.last_alert_at;
    end if;
    -- What could not be sent before comes first: both are left to take_due_alerts then.
    update public.alerts set next_attempt_at = least(next_attempt_at, v_now)
    where kind = v_state.kind and next_attempt_at is not null and attempts > 0;
    insert into public.alerts (kind, event, content, next_attempt_at)
    values (
      -- The version of the function before this one insists on newestRequestId.
      v_state.kind, v_event, v_failures || '{"newestRequestId": null}',
      case when found then v_now else v_now + make_interval(secs => p_lease_ms / 1000.0) end
    )
    returning * into v_alert;
    if v_alert.next_attempt_at > v_now then
      v_new := v_new || jsonb_build_array(to_jsonb(v_alert));
    end if;
  end loop;
  return v_new;
end
$$;

COMMENT ON FUNCTION public.evaluate_alerts IS 'Decides which messages have to be sent now and writes them down, each leased to the caller for p_lease_ms. The cooldown is per code. Beyond a thousand failures of a code (or p_threshold) the content says atLeast. p_by_reconcile: the caller is a run of reconcile.';

REVOKE ALL ON FUNCTION public.evaluate_alerts FROM PUBLIC;
GRANT ALL ON FUNCTION public.evaluate_alerts TO service_role;

-- expire_machines ---------------------------------------------------------------------------------

CREATE FUNCTION public.expire_machines(
    p_lifetime_ms bigint,
    p_limit integer,
    p_request_id text
) RETURNS jsonb
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  with old as (
    select id from public.cloud_machines
    where status in ('running', 'stopped') and destroy_requested_at is null
      and created_at < now() - make_interval(secs => p_lifetime_ms / 1000.0)
    order by created_at limit p_limit
    for update skip locked
  ), expired as (
    update public.cloud_machines m set destroy_requested_at = now(), reconcile_at = now()
    from old where m.id = old.id
    returning m.id, m.machine_id, m.fly_machine_id
  ), noted as (
    insert into public.machine_events (cloud_machine_id, request_id, kind)
    select id, p_request_id, 'expired' from expired
  )
  select coalesce(jsonb_agg(jsonb_build_object(
    'machine_id', machine_id, 'fly_machine_id', fly_machine_id
  )), '[]') from expired
$$;

COMMENT ON FUNCTION public.expire_machines IS 'Machines older than their lifetime are to be destroyed: reconcile does it next. Returns them.';

REVOKE ALL ON FUNCTION public.expire_machines FROM PUBLIC;
GRANT ALL ON FUNCTION public.expire_machines TO service_role;

-- find_machine ------------------------------------------------------------------------------------

CREATE FUNCTION public.find_machine(
    p_machine_id text,
    p_user_id uuid DEFAULT NULL::uuid,
    p_unless_banned boolean DEFAULT false
) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select case
    when p_unless_banned and public.user_state(p_user_id) = 'banned' then jsonb_build_object('banned', true)
    else to_jsonb(m)
  end
  from public.cloud_machines m
  where (
      machine_id = p_machine_id
      or (former_machine_ids <> '{}' and former_machine_ids @> array[p_machine_id])
    )
    and (p_user_id is null or user_id = p_user_id)
$$;

COMMENT ON FUNCTION public.find_machine IS 'The row that has or had this name; null when there is none of this owner. p_user_id null: a service, any owner. p_unless_banned: only that they are, if they are.';

REVOKE ALL ON FUNCTION public.find_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.find_machine TO service_role;

-- finish_alert ------------------------------------------------------------------------------------

CREATE FUNCTION public.finish_alert(
    p_id bigint,
    p_error text DEFAULT NULL::text,
    p_retry_in_ms integer DEFAULT NULL::integer
) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_alert public.alerts;
begin
  update public.alerts
  set attempts = attempts + 1,
    sent_at = case when p_error is null then now() end,
    last_error = left(p_error, 500),
    next_attempt_at = case when p_error is not null then now() + make_interval(secs => p_retry_in_ms / 1000.0) end
  where id = p_id and sent_at is null
  returning * into v_alert;
  if found and p_error is null then
    perform public.add_to_metric('alerts_sent', jsonb_build_object('kind', v_alert.kind, 'event', v_alert.event));
  end if;
end
$$;

COMMENT ON FUNCTION public.finish_alert IS 'Notes that a message was sent, or why not (p_error) and when to try again (p_retry_in_ms; null: never).';

REVOKE ALL ON FUNCTION public.finish_alert FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_alert TO service_role;

-- finish_pooled_machine ---------------------------------------------------------------------------

CREATE FUNCTION public.finish_pooled_machine(p_id uuid, p_gone boolean) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  delete from public.pooled_machines where id = p_id and state = 'discarded' and (p_gone or looked_again);
  -- Nothing was there; a create that is under way may still land.
  update public.pooled_machines
  set looked_again = true, reconcile_at = greatest(made_until, now() + interval '1 minute')
  where id = p_id and state = 'discarded';
$$;

COMMENT ON FUNCTION public.finish_pooled_machine IS 'The machine of a discarded entry is gone (p_gone), or was not found: then it is looked for once more.';

REVOKE ALL ON FUNCTION public.finish_pooled_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.finish_pooled_machine TO service_role;

-- give_back_create_slot ---------------------------------------------------------------------------

CREATE FUNCTION public.give_back_create_slot(p_id uuid) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  -- A slot in the future stays, free for the next to come; one in the past is gone.
  delete from public.fly_create_slots where cloud_machine_id = p_id and slot_at <= clock_timestamp();
  update public.fly_create_slots set cloud_machine_id = null, user_id = null where cloud_machine_id = p_id;
$$;

COMMENT ON FUNCTION public.give_back_create_slot IS 'Frees the slot of a create that will not be sent.';

REVOKE ALL ON FUNCTION public.give_back_create_slot FROM PUBLIC;
GRANT ALL ON FUNCTION public.give_back_create_slot TO service_role;

-- hand_over_to_reconcile --------------------------------------------------------------------------

CREATE FUNCTION public.hand_over_to_reconcile(
    p_ids uuid[],
    p_reason text,
    p_after_ms integer
) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_count integer;
begin
  with handed_over as (
    update public.cloud_machines
    set reconcile_at = least(reconcile_at, now() + make_interval(secs => p_after_ms / 1000.0))
    where id = any (p_ids) and status = 'provisioning'
    returning id, request_id
  ), events as (
    insert into public.machine_events (cloud_machine_id, request_id, kind, detail)
    select id, request_id, 'handed_over', jsonb_build_object('reason', p_reason) from handed_over
    returning 1
  )
  select count(*) into v_count from events;
  return v_count;
end
$$;

COMMENT ON FUNCTION public.hand_over_to_reconcile IS 'The isolate is being shut down: reconcile need not wait for the deadline of these rows. Returns how many were still provisioning.';

REVOKE ALL ON FUNCTION public.hand_over_to_reconcile FROM PUBLIC;
GRANT ALL ON FUNCTION public.hand_over_to_reconcile TO service_role;

-- hold_orphans ------------------------------------------------------------------------------------

CREATE FUNCTION public.hold_orphans(p_count integer) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_before integer;
begin
  select orphans_held into v_before from public.installation for update;
  update public.installation set orphans_held = p_count where only_row and orphans_held <> p_count;
  return v_before;
end
$$;

COMMENT ON FUNCTION public.hold_orphans IS 'Sets how many machines without a row are held back from destruction, and returns how many were before.';

REVOKE ALL ON FUNCTION public.hold_orphans FROM PUBLIC;
GRANT ALL ON FUNCTION public.hold_orphans TO service_role;

-- installation_copied -----------------------------------------------------------------------------

CREATE FUNCTION public.installation_copied() RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_closed integer;
begin
  update public.installation
  set id = gen_random_uuid(), tag = left(gen_random_uuid()::text, 6), project_host = null
  where only_row;

  -- Their machines belong to the project that was copied from, so Fly.io is not called for any.
  with closed as (
    update public.cloud_machines
    set status = 'destroyed', error_code = null, error_message = null, reconcile_at = null,
      destroy_requested_at = coalesce(destroy_requested_at, now())
    where status in ('provisioning', 'running', 'stopped')
    returning id
  )
  insert into public.machine_events (cloud_machine_id, request_id, kind, detail)
  select id, 'installation_copied', 'destroyed', '{"reason": "the database was copied"}' from closed;
  get diagnostics v_closed = row_count;
  delete from public.pooled_machines;
  update public.cloud_machines set reconcile_at = null
  where status in ('error', 'destroyed') and reconcile_at is not null;
  return v_closed || ' rows closed; their machines stay with the project that was copied from.';
end
$$;

COMMENT ON FUNCTION public.installation_copied IS 'For the SQL editor: this database is a copy. Its rows are closed, and it gets an identity of its own.';

REVOKE ALL ON FUNCTION public.installation_copied FROM PUBLIC;

-- installation_moved ------------------------------------------------------------------------------

CREATE FUNCTION public.installation_moved() RETURNS text
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.installation set project_host = null where only_row;
  return 'The next request records its project as the owner of this database and its machines.';
end
$$;

COMMENT ON FUNCTION public.installation_moved IS 'For the SQL editor: this database moved to another project and keeps its machines.';

REVOKE ALL ON FUNCTION public.installation_moved FROM PUBLIC;

-- is_fenced ---------------------------------------------------------------------------------------

CREATE FUNCTION public.is_fenced(p_project_host text) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_host text;
begin
  -- Loopback names and the like, which every local stack shares, neither record nor fence.
  if p_project_host is null then
    return false;
  end if;
  select project_host into v_host from public.installation;
  if v_host is null then
    update public.installation set project_host = p_project_host where project_host is null;
    select project_host into v_host from public.installation;
  end if;
  return v_host <> p_project_host;
end
$$;

COMMENT ON FUNCTION public.is_fenced IS 'Whether the caller''s project is not the one that this database belongs to. The first project is recorded.';

REVOKE ALL ON FUNCTION public.is_fenced FROM PUBLIC;
GRANT ALL ON FUNCTION public.is_fenced TO service_role;

-- list_live_machines ------------------------------------------------------------------------------

CREATE FUNCTION public.list_live_machines(
    p_limit integer,
    p_fly_app_name text DEFAULT NULL::text,
    p_after uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid
) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $$
begin
  -- Two queries, so that each is planned for its own index.
  if p_fly_app_name is null then
    return (
      select coalesce(jsonb_agg(to_jsonb(m) order by m.id), '[]')
      from (
        select * from public.cloud_machines
        where fly_app_name = machine_id and status in ('running', 'stopped') and id > p_after
        order by id
        limit p_limit
      ) m
    );
  end if;
  return (
    select coalesce(jsonb_agg(to_jsonb(m) order by m.id), '[]')
    from (
      select * from public.cloud_machines
      where fly_app_name = p_fly_app_name and status in ('running', 'stopped') and id > p_after
      order by id
      limit p_limit
    ) m
  );
end
$$;

COMMENT ON FUNCTION public.list_live_machines IS 'A page of the running and stopped rows of an app, or of those whose machines have apps of their own (null), in the order of their id, after p_after.';

REVOKE ALL ON FUNCTION public.list_live_machines FROM PUBLIC;
GRANT ALL ON FUNCTION public.list_live_machines TO service_role;

-- lock_user ---------------------------------------------------------------------------------------

CREATE FUNCTION public.lock_user(p_user_id uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
  perform 1 from auth.users where id = p_user_id for key share;
  return public.user_state(p_user_id);
end
$$;

COMMENT ON FUNCTION public.lock_user IS 'Keeps the user from being deleted until the transaction ends. Returns what user_state does.';

REVOKE ALL ON FUNCTION public.lock_user FROM PUBLIC;
GRANT ALL ON FUNCTION public.lock_user TO service_role;

-- machine_events_after_insert ---------------------------------------------------------------------

CREATE FUNCTION public.machine_events_after_insert() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_outcome text;
  v_region text;
begin
  v_outcome := case new.kind
    when 'running' then 'running' when 'adopted' then 'running'
    when 'failed' then 'error' when 'interrupted' then 'error'
  end;
  if v_outcome is null then
    return null;
  end if;
  select region into v_region from public.cloud_machines where id = new.cloud_machine_id;
  perform public.add_to_metric(
    'attempts',
    jsonb_build_object('outcome', v_outcome, 'code', coalesce(new.error_code, ''), 'region', coalesce(v_region, ''))
  );
  -- How long reconcile took to find a dead request says nothing about provisioning.
  if new.kind in ('running', 'failed') then
    perform public.add_to_durations(v_outcome, coalesce(new.duration_ms, 0));
  end if;
  return null;
end
$$;

REVOKE ALL ON FUNCTION public.machine_events_after_insert FROM PUBLIC;
GRANT ALL ON FUNCTION public.machine_events_after_insert TO service_role;

-- machine_events_are_append_only ------------------------------------------------------------------

CREATE FUNCTION public.machine_events_are_append_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  raise exception 'machine_events is append-only' using errcode = 'insufficient_privilege';
end
$$;

REVOKE ALL ON FUNCTION public.machine_events_are_append_only FROM PUBLIC;

-- machine_limit -----------------------------------------------------------------------------------

CREATE FUNCTION public.machine_limit(p_user_id uuid) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$ select null::integer $$;

COMMENT ON FUNCTION public.machine_limit IS 'How many live machines a user may have; null: MAX_MACHINES_PER_USER. Replace it to sell plans.';

REVOKE ALL ON FUNCTION public.machine_limit FROM PUBLIC;
GRANT ALL ON FUNCTION public.machine_limit TO service_role;

-- mark_machine_cleaned_up -------------------------------------------------------------------------

CREATE FUNCTION public.mark_machine_cleaned_up(
    p_id uuid,
    p_request_id text,
    p_duration_ms integer,
    p_detail jsonb DEFAULT '{}'::jsonb
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_machine public.cloud_machines;
begin
  update public.cloud_machines
  set reconcile_at = null
  where id = p_id and status in ('error', 'destroyed') and reconcile_at is not null
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (p_id, p_request_id, 'cleaned_up', p_duration_ms, p_detail);
  else
    select * into v_machine from public.cloud_machines where id = p_id;
  end if;
  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.status in ('error', 'destroyed') then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

COMMENT ON FUNCTION public.mark_machine_cleaned_up IS 'An error or destroyed row whose Fly machine is confirmed gone needs reconcile no more. outcome: applied, conflict, not_found.';

REVOKE ALL ON FUNCTION public.mark_machine_cleaned_up FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_machine_cleaned_up TO service_role;

-- mark_machine_destroyed --------------------------------------------------------------------------

CREATE FUNCTION public.mark_machine_destroyed(
    p_id uuid,
    p_look_again boolean,
    p_request_id text,
    p_duration_ms integer,
    p_detail jsonb DEFAULT '{}'::jsonb
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_before public.cloud_machines;
  v_machine public.cloud_machines;
begin
  select * into v_before from public.cloud_machines where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if v_before.status = 'destroyed' then
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_before));
  end if;

  update public.cloud_machines
  set status = 'destroyed', error_code = null, error_message = null,
    destroy_requested_at = coalesce(destroy_requested_at, now()),
    -- A create may still be under way whose machine nobody has seen: reconcile looks once more.
    reconcile_at = case
      when p_look_again or v_before.status = 'provisioning'
        then greatest(deadline_at, now() + interval '1 minute')
    end
  where id = p_id
  returning * into v_machine;

  insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
  values (p_id, p_request_id, 'destroyed', p_duration_ms, p_detail);
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

COMMENT ON FUNCTION public.mark_machine_destroyed IS 'any status -> destroyed, once Fly.io has destroyed the machine or knows of none (p_look_again). outcome: applied, not_found.';

REVOKE ALL ON FUNCTION public.mark_machine_destroyed FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_machine_destroyed TO service_role;

-- mark_machine_error ------------------------------------------------------------------------------

CREATE FUNCTION public.mark_machine_error(
    p_id uuid,
    p_expected_status text,
    p_error_code text,
    p_error_message text,
    p_request_id text,
    p_duration_ms integer,
    p_fly_machine_id text DEFAULT NULL::text,
    p_cleanup_in_ms integer DEFAULT NULL::integer,
    p_detail jsonb DEFAULT '{}'::jsonb
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_machine public.cloud_machines;
begin
  update public.cloud_machines
  set status = 'error', error_code = p_error_code, error_message = left(p_error_message, 2000),
    fly_machine_id = coalesce(p_fly_machine_id, fly_machine_id),
    reconcile_at = now() + make_interval(secs => p_cleanup_in_ms / 1000.0)
  where id = p_id and status = p_expected_status and status in ('provisioning', 'running', 'stopped')
    -- A machine that is gone because somebody destroys it is not lost.
    and (status = 'provisioning' or destroy_requested_at is null)
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
    values (
      p_id, p_request_id,
      case
        when p_error_code in ('interrupted', 'machine_lost') then p_error_code
        when p_expected_status = 'provisioning' then 'failed'
        else 'crashed'
      end,
      p_error_code, p_duration_ms, p_detail
    );
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
  end if;

  select * into v_machine from public.cloud_machines where id = p_id;
  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.status = 'error' and v_machine.error_code = p_error_code then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

COMMENT ON FUNCTION public.mark_machine_error IS 'provisioning, running or stopped (p_expected_status) -> error. p_cleanup_in_ms: from then on reconcile makes sure that no Fly machine is left; null when that is already sure. outcome: applied, conflict, not_found.';

REVOKE ALL ON FUNCTION public.mark_machine_error FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_machine_error TO service_role;

-- mark_machine_found ------------------------------------------------------------------------------

CREATE FUNCTION public.mark_machine_found(
    p_id uuid,
    p_request_id text,
    p_duration_ms integer
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.cloud_machines
  set status = 'running', error_code = null, error_message = null, reconcile_at = null
  where id = p_id and status = 'error' and error_code = 'machine_lost' and user_id is not null
    and destroy_requested_at is null and websocket_url is not null and provisioned_at is not null;
  if not found then
    return jsonb_build_object('outcome', 'conflict');
  end if;
  insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms)
  values (p_id, p_request_id, 'adopted', p_duration_ms);
  return jsonb_build_object('outcome', 'applied');
end
$$;

COMMENT ON FUNCTION public.mark_machine_found IS 'error (machine_lost) -> running: the machine is started at Fly.io. outcome: applied, conflict.';

REVOKE ALL ON FUNCTION public.mark_machine_found FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_machine_found TO service_role;

-- mark_machine_running ----------------------------------------------------------------------------

CREATE FUNCTION public.mark_machine_running(
    p_id uuid,
    p_fly_machine_id text,
    p_region text,
    p_request_id text,
    p_duration_ms integer,
    p_detail jsonb DEFAULT '{}'::jsonb,
    p_adopted boolean DEFAULT false
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_machine public.cloud_machines;
begin
  update public.cloud_machines
  set status = 'running', fly_machine_id = p_fly_machine_id, region = p_region,
    provisioned_at = now(), reconcile_at = null
  where id = p_id and status = 'provisioning' and destroy_requested_at is null
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (p_id, p_request_id, case when p_adopted then 'adopted' else 'running' end, p_duration_ms, p_detail);
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
  end if;

  select * into v_machine from public.cloud_machines where id = p_id;
  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.status = 'running' and v_machine.fly_machine_id = p_fly_machine_id
        and v_machine.destroy_requested_at is null then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

COMMENT ON FUNCTION public.mark_machine_running IS 'provisioning -> running. outcome: applied (also when it already was); conflict when the row was closed otherwise or must be destroyed; not_found.';

REVOKE ALL ON FUNCTION public.mark_machine_running FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_machine_running TO service_role;

-- mark_machine_started ----------------------------------------------------------------------------

CREATE FUNCTION public.mark_machine_started(
    p_id uuid,
    p_request_id text,
    p_duration_ms integer,
    p_detail jsonb DEFAULT '{}'::jsonb,
    p_unchanged_for_ms integer DEFAULT 0
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_before public.cloud_machines;
  v_machine public.cloud_machines;
begin
  select * into v_before from public.cloud_machines where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if v_before.status not in ('running', 'stopped') or v_before.destroy_requested_at is not null
    or v_before.updated_at > now() - make_interval(secs => p_unchanged_for_ms / 1000.0) then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_before));
  end if;
  if v_before.status = 'running' then
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_before));
  end if;
  update public.cloud_machines set status = 'running', missing_since = null
  where id = p_id
  returning * into v_machine;
  insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
  values (p_id, p_request_id, 'started', p_duration_ms, p_detail);
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

COMMENT ON FUNCTION public.mark_machine_started IS 'stopped -> running. p_unchanged_for_ms: leave a row alone that has changed since. outcome: applied (also when it already runs), conflict, not_found.';

REVOKE ALL ON FUNCTION public.mark_machine_started FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_machine_started TO service_role;

-- mark_machine_stopped ----------------------------------------------------------------------------

CREATE FUNCTION public.mark_machine_stopped(
    p_id uuid,
    p_reason text,
    p_request_id text,
    p_duration_ms integer,
    p_detail jsonb DEFAULT '{}'::jsonb,
    p_unchanged_for_ms integer DEFAULT 0
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_before public.cloud_machines;
  v_machine public.cloud_machines;
  v_reason text := p_reason;
  v_crashed boolean;
  v_intent public.machine_events;
  v_over timestamptz;
begin
  select * into v_before from public.cloud_machines where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if v_before.status not in ('running', 'stopped') or v_before.destroy_requested_at is not null
    or v_before.updated_at > now() - make_interval(secs => p_unchanged_for_ms / 1000.0) then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_before));
  end if;
  -- Fly.io does not say who stopped it: what was asked for through us was not idle.
  if p_reason = 'idle' then
    select * into v_intent from public.machine_events
    where cloud_machine_id = p_id and (
      kind in ('running', 'adopted', 'started', 'start_requested', 'stop_requested', 'suspend_requested')
      -- Refused, so that Fly.io does not do it later either.
      or (kind = 'change_failed' and error_code in (
        'machine_state_conflict', 'fly_rejected', 'fly_unauthorized', 'machine_failed'
      ))
    )
    order by id desc limit 1;
    -- Where nothing is known of its outcome, Fly.io may do it a little later, but not hours later. No
    -- request takes longer than 150 seconds.
    select coalesce(min(created_at), v_intent.created_at + interval '150 seconds') into v_over
    from public.machine_events
    where cloud_machine_id = p_id and id > v_intent.id and kind = 'change_failed'
      and request_id = v_intent.request_id;
    if v_intent.kind in ('stop_requested', 'suspend_requested') and
      coalesce((p_detail ->> 'happenedAt')::timestamptz, now()) <= v_over + interval '30 seconds' then
      v_reason := 'requested';
    end if;
  end if;
  if v_before.stop_reason is not distinct from v_reason then
    return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_before));
  end if;

  update public.cloud_machines
  set status = 'stopped', stop_reason = v_reason, missing_since = null
  where id = p_id
  returning * into v_machine;
  v_crashed := v_reason not in ('requested', 'idle', 'suspended');
  insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
  values (
    p_id, p_request_id,
    case when v_crashed then 'crashed' else 'stopped' end,
    case when v_crashed then 'machine_stopped' end,
    p_duration_ms, p_detail || jsonb_build_object('reason', v_reason)
  );
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

COMMENT ON FUNCTION public.mark_machine_stopped IS 'running -> stopped, or another reason for a stopped row. p_reason idle becomes requested where a stop was asked for. p_unchanged_for_ms: leave a row alone that has changed since. outcome: applied, conflict, not_found.';

REVOKE ALL ON FUNCTION public.mark_machine_stopped FROM PUBLIC;
GRANT ALL ON FUNCTION public.mark_machine_stopped TO service_role;

-- metric_duration_bounds_ms -----------------------------------------------------------------------

CREATE FUNCTION public.metric_duration_bounds_ms() RETURNS integer[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$ select array[500, 1000, 2000, 3000, 5000, 10000, 20000, 30000, 60000, 90000, 120000, 150000] $$;

COMMENT ON FUNCTION public.metric_duration_bounds_ms IS 'Upper bounds of the histogram''s buckets, up to the platform''s limit of 150 s.';

REVOKE ALL ON FUNCTION public.metric_duration_bounds_ms FROM PUBLIC;
GRANT ALL ON FUNCTION public.metric_duration_bounds_ms TO service_role;

-- note_failed_machine -----------------------------------------------------------------------------

CREATE FUNCTION public.note_failed_machine(p_id uuid) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_since timestamptz;
begin
  update public.cloud_machines set failed_since = coalesce(failed_since, now()), missing_since = null
  where id = p_id and status in ('running', 'stopped') and destroy_requested_at is null
  returning failed_since into v_since;
  return jsonb_build_object(
    'confirmed', coalesce(v_since <= now() - interval '1 minute', false)
  );
end
$$;

COMMENT ON FUNCTION public.note_failed_machine IS 'Fly.io calls the machine of this live row failed. confirmed: a first sighting was at least a minute ago.';

REVOKE ALL ON FUNCTION public.note_failed_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_failed_machine TO service_role;

-- note_missing_machine ----------------------------------------------------------------------------

CREATE FUNCTION public.note_missing_machine(p_id uuid) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_since timestamptz;
begin
  update public.cloud_machines set missing_since = coalesce(missing_since, now())
  where id = p_id and status in ('running', 'stopped') and destroy_requested_at is null
  returning missing_since into v_since;
  return jsonb_build_object(
    'confirmed', coalesce(v_since <= now() - interval '1 minute', false)
  );
end
$$;

COMMENT ON FUNCTION public.note_missing_machine IS 'Fly.io does not know the machine of this live row. confirmed: a first sighting was at least a minute ago.';

REVOKE ALL ON FUNCTION public.note_missing_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_missing_machine TO service_role;

-- note_orphans ------------------------------------------------------------------------------------

CREATE FUNCTION public.note_orphans(p_fly_machine_ids text[]) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  -- A sighting that was not repeated for an hour was wrong, or its machine is gone.
  delete from public.fly_orphans where last_seen_at < now() - interval '1 hour';
  insert into public.fly_orphans (fly_machine_id)
  select unnest(p_fly_machine_ids)
  on conflict (fly_machine_id) do update set last_seen_at = now();
  return (
    select coalesce(jsonb_agg(o.fly_machine_id), '[]')
    from public.fly_orphans o
    where o.fly_machine_id = any (p_fly_machine_ids) and o.first_seen_at <= now() - interval '1 minute'
  );
end
$$;

COMMENT ON FUNCTION public.note_orphans IS 'Records a sighting of machines that no live row owns. Returns those first seen at least a minute ago.';

REVOKE ALL ON FUNCTION public.note_orphans FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_orphans TO service_role;

-- note_pooled_machines ----------------------------------------------------------------------------

CREATE FUNCTION public.note_pooled_machines(
    p_create_bucket text,
    p_present uuid[],
    p_listed uuid[],
    p_complete boolean
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_discarded jsonb;
begin
  update public.pooled_machines
  set state = 'ready', checked_at = now(), missing_since = null, reconcile_at = null
  where id = any (p_present) and state <> 'discarded' and fly_machine_id is not null;
  if not p_complete then
    return jsonb_build_array();
  end if;
  -- As for a user's machine, two sightings a minute apart: one list proves nothing.
  update public.pooled_machines set missing_since = now()
  where state = 'ready' and missing_since is null and create_bucket = p_create_bucket and id <> all (p_listed);
  with gone as (
    update public.pooled_machines
    set state = 'discarded', discard_reason = 'it is missing at Fly.io', reconcile_at = now()
    where state = 'ready' and create_bucket = p_create_bucket and id <> all (p_listed)
      and missing_since <= now() - interval '1 minute'
    returning machine_id, fly_machine_id, discard_reason
  )
  select coalesce(jsonb_agg(to_jsonb(gone)), '[]') into v_discarded from gone;
  return v_discarded;
end
$$;

COMMENT ON FUNCTION public.note_pooled_machines IS 'What a list of Fly.io, of p_create_bucket, shows of the pool: p_present stand by as they should, p_listed are on it at all. Returns the entries that are discarded because they are missing.';

REVOKE ALL ON FUNCTION public.note_pooled_machines FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_pooled_machines TO service_role;

-- note_present_machines ---------------------------------------------------------------------------

CREATE FUNCTION public.note_present_machines(p_fly_machine_ids text[]) RETURNS integer
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_count integer;
begin
  update public.cloud_machines set missing_since = null, failed_since = null
  where (missing_since is not null or failed_since is not null)
    and fly_machine_id = any (p_fly_machine_ids);
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

COMMENT ON FUNCTION public.note_present_machines IS 'Fly.io knows these machines, and they have not failed: earlier sightings were wrong.';

REVOKE ALL ON FUNCTION public.note_present_machines FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_present_machines TO service_role;

-- note_refused_region -----------------------------------------------------------------------------

CREATE FUNCTION public.note_refused_region(p_region text, p_for_ms integer) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  insert into public.full_regions (region, reason, full_until)
  values (p_region, 'refused', now() + make_interval(secs => p_for_ms / 1000.0))
  on conflict (region, reason) do update set full_until = excluded.full_until;
$$;

COMMENT ON FUNCTION public.note_refused_region IS 'A create was refused for the region as a whole; it is not tried first for p_for_ms.';

REVOKE ALL ON FUNCTION public.note_refused_region FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_refused_region TO service_role;

-- note_regions ------------------------------------------------------------------------------------

CREATE FUNCTION public.note_regions(
    p_full text[],
    p_with_room text[],
    p_for_ms integer
) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  delete from public.full_regions
  where full_until <= now() or (reason = 'no room' and region = any (p_with_room));
  insert into public.full_regions (region, reason, full_until)
  select unnest(p_full), 'no room', now() + make_interval(secs => p_for_ms / 1000.0)
  on conflict (region, reason) do update set full_until = excluded.full_until;
$$;

COMMENT ON FUNCTION public.note_regions IS 'What Fly.io says of the room in its regions; good for p_for_ms.';

REVOKE ALL ON FUNCTION public.note_regions FROM PUBLIC;
GRANT ALL ON FUNCTION public.note_regions TO service_role;

-- pool_target -------------------------------------------------------------------------------------

CREATE FUNCTION public.pool_target(p_pool_size integer, p_max_machines integer) RETURNS integer
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  -- The last tenth of the ceiling is for those whom no entry fits, such as in another region.
  select greatest(0, least(p_pool_size, p_max_machines - ceil(p_max_machines / 10.0)::integer - (
    select count(*)::integer from (
      select 1 from public.cloud_machines
      where status in ('provisioning', 'running', 'stopped') limit p_max_machines
    ) live
  )))
$$;

COMMENT ON FUNCTION public.pool_target IS 'How many entries the pool may have: p_pool_size, or what users leave of p_max_machines.';

REVOKE ALL ON FUNCTION public.pool_target FROM PUBLIC;
GRANT ALL ON FUNCTION public.pool_target TO service_role;

-- pooled_machines_before_write --------------------------------------------------------------------

CREATE FUNCTION public.pooled_machines_before_write() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  if (tg_op = 'INSERT' and new.state = 'ready')
    or (tg_op = 'UPDATE' and new.state <> old.state and not (
      (old.state = 'making' and new.state in ('ready', 'discarded'))
      or (old.state = 'ready' and new.state = 'discarded')
    )) then
    raise exception 'pooled_machines: this entry cannot become %', new.state
      using errcode = 'check_violation';
  end if;
  if tg_op = 'INSERT' and new.state = 'making'
    and exists (select 1 from public.cloud_machines where machine_id = new.machine_id) then
    raise exception 'pooled_machines: % is the name of a user''s machine', new.machine_id
      using errcode = 'unique_violation';
  end if;
  return new;
end
$$;

REVOKE ALL ON FUNCTION public.pooled_machines_before_write FROM PUBLIC;
GRANT ALL ON FUNCTION public.pooled_machines_before_write TO service_role;

-- prune_history -----------------------------------------------------------------------------------

CREATE FUNCTION public.prune_history(
    p_keep_days integer DEFAULT 90,
    p_limit integer DEFAULT 20000
) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $_$
declare
  v_before constant timestamptz := now() - make_interval(days => p_keep_days);
  v_deleted integer;
begin
  with old as (
    select id from public.machine_events where created_at < v_before order by id limit p_limit
  )
  delete from public.machine_events e using old where e.id = old.id;
  get diagnostics v_deleted = row_count;
  delete from public.reconcile_runs where created_at < v_before;
  -- Nobody takes them: the webhook was removed.
  update public.alerts set next_attempt_at = null where next_attempt_at < now() - interval '1 day';
  delete from public.alerts where created_at < v_before and next_attempt_at is null;
  with closed as (
    select id from public.cloud_machines
    where status in ('error', 'destroyed') and reconcile_at is null and updated_at < v_before
    order by updated_at limit p_limit
  )
  delete from public.cloud_machines m using closed where m.id = closed.id;
  -- pg_cron keeps a row of each run for ever.
  if to_regclass('cron.job_run_details') is not null then
    execute $sql$
      delete from cron.job_run_details d using cron.job j
      where j.jobid = d.jobid and j.jobname like 'provision-machine-%'
        and d.end_time < now() - interval '7 days'
    $sql$;
  end if;
  return v_deleted;
end
$_$;

COMMENT ON FUNCTION public.prune_history IS 'Deletes events, runs, alerts and closed rows older than p_keep_days, at most p_limit of a kind a call, and pg_cron''s record of our jobs after a week. Counters stay as they are.';

REVOKE ALL ON FUNCTION public.prune_history FROM PUBLIC;
GRANT ALL ON FUNCTION public.prune_history TO service_role;

-- read_full_regions -------------------------------------------------------------------------------

CREATE FUNCTION public.read_full_regions() RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select coalesce(jsonb_agg(jsonb_build_object('region', region, 'reason', reason)), '[]')
  from public.full_regions where full_until > now()
$$;

COMMENT ON FUNCTION public.read_full_regions IS 'Regions that take no machine at the moment, and why.';

REVOKE ALL ON FUNCTION public.read_full_regions FROM PUBLIC;
GRANT ALL ON FUNCTION public.read_full_regions TO service_role;

-- read_health -------------------------------------------------------------------------------------

CREATE FUNCTION public.read_health() RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select jsonb_build_object(
    'schema_version', public.schema_version(),
    'reconcile_age_seconds', (
      select extract(epoch from now() - max(created_at)) from public.reconcile_runs
    ),
    'reconcile_problem', public.reconcile_problem(),
    -- Reconcile runs every minute, so it should have closed these by now.
    'overdue_rows', (
      select count(*) from public.cloud_machines
      where status = 'provisioning' and deadline_at < now() - interval '2 minutes'
    ),
    -- Delivery failed and is due again, or was given up within the last day.
    'undelivered_alerts', (
      select count(*) from public.alerts
      where sent_at is null and attempts > 0 and (
        next_attempt_at is not null or created_at > now() - interval '1 day'
      )
    ),
    'pool_ready', (
      select count(*) from public.pooled_machines where state = 'ready' and missing_since is null
    ),
    'orphans_held', (select orphans_held from public.installation),
    'project_host', (select project_host from public.installation)
  )
$$;

COMMENT ON FUNCTION public.read_health IS 'What GET /health reads in one call: schema version, age of the last reconcile, rows that reconcile should have closed by now, alerts that could not be delivered, machines held back from destruction, and the project that the database belongs to.';

REVOKE ALL ON FUNCTION public.read_health FROM PUBLIC;
GRANT ALL ON FUNCTION public.read_health TO service_role;

-- read_machines -----------------------------------------------------------------------------------

CREATE FUNCTION public.read_machines(p_names text[], p_fly_machine_ids text[]) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  -- In one statement: a machine that a claim is just taking is in one of the two.
  select jsonb_build_object(
    'owners', (
      select coalesce(jsonb_agg(to_jsonb(m)), '[]') from public.cloud_machines m
      where m.machine_id = any (p_names) or m.fly_machine_id = any (p_fly_machine_ids)
    ),
    'pooled', (
      select coalesce(jsonb_agg(to_jsonb(p)), '[]') from public.pooled_machines p
      where p.machine_id = any (p_names)
    )
  )
$$;

COMMENT ON FUNCTION public.read_machines IS 'The rows that own machines with these names or Fly ids, in whatever status, and the entries of the pool with these names.';

REVOKE ALL ON FUNCTION public.read_machines FROM PUBLIC;
GRANT ALL ON FUNCTION public.read_machines TO service_role;

-- read_metrics ------------------------------------------------------------------------------------

CREATE FUNCTION public.read_metrics() RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select jsonb_build_object(
    'counters', (
      select coalesce(jsonb_agg(jsonb_build_object('metric', metric, 'labels', labels, 'value', value) order by metric, labels), '[]')
      from (
        select metric, labels, sum(value) as value from public.metric_counters
        where metric <> 'refused' group by metric, labels
      ) totals
    ),
    'pool_entries', (
      select coalesce(jsonb_object_agg(state, n), '{}') from (
        select state, count(*) as n from public.pooled_machines group by state
      ) states
    ),
    -- Apart: the version of the function before this one takes no counter that it does not know.
    'refused', (
      select coalesce(jsonb_object_agg(code, n), '{}') from (
        select labels ->> 'code' as code, sum(value) as n from public.metric_counters
        where metric = 'refused' group by labels
      ) refused
    ),
    'durations', (
      select coalesce(jsonb_agg(jsonb_build_object('outcome', outcome, 'buckets', buckets, 'sum_ms', sum_ms) order by outcome), '[]')
      from (
        select outcome, sum(sum_ms) as sum_ms, (
          select jsonb_agg(n order by position) from (
            select position, sum(count) as n
            from public.metric_durations d
            cross join lateral unnest(d.buckets) with ordinality as b (count, position)
            where d.outcome = outcomes.outcome
            group by position
          ) merged
        ) as buckets
        from public.metric_durations outcomes
        group by outcome
      ) histograms
    ),
    'duration_bounds_ms', public.metric_duration_bounds_ms(),
    'oldest_provisioning_seconds', (
      select coalesce(extract(epoch from now() - min(created_at)), 0)
      from public.cloud_machines where status = 'provisioning'
    ),
    'due_rows', (select count(*) from public.cloud_machines where reconcile_at <= now()),
    -- A row that is leased is not due, so this tells what reconcile tries again and again in vain.
    'oldest_cleanup_seconds', (
      select coalesce(extract(epoch from greatest(now() - min(coalesce(destroy_requested_at, deadline_at)), interval '0')), 0)
      from public.cloud_machines where reconcile_at is not null and status <> 'provisioning'
    ),
    'waiting_creates', (select count(*) from public.fly_create_slots where slot_at > now() and cloud_machine_id is not null),
    'reconcile_last_run', (select extract(epoch from max(created_at)) from public.reconcile_runs)
  )
$$;

COMMENT ON FUNCTION public.read_metrics IS 'Everything that GET /metrics shows, in one call.';

REVOKE ALL ON FUNCTION public.read_metrics FROM PUBLIC;
GRANT ALL ON FUNCTION public.read_metrics TO service_role;

-- read_owners -------------------------------------------------------------------------------------

CREATE FUNCTION public.read_owners(p_names text[], p_fly_machine_ids text[]) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select coalesce(jsonb_agg(to_jsonb(m)), '[]')
  from public.cloud_machines m
  where m.machine_id = any (p_names) or m.fly_machine_id = any (p_fly_machine_ids)
$$;

COMMENT ON FUNCTION public.read_owners IS 'The rows that own machines with these names or Fly ids, in whatever status.';

REVOKE ALL ON FUNCTION public.read_owners FROM PUBLIC;
GRANT ALL ON FUNCTION public.read_owners TO service_role;

-- reconcile_problem -------------------------------------------------------------------------------

CREATE FUNCTION public.reconcile_problem() RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
  select case
    when not exists (select 1 from public.reconcile_runs) then
      case when i.created_at < now() - interval '10 minutes' then 'never' end
    when not exists (
      select 1 from public.reconcile_runs where created_at > now() - interval '10 minutes'
    ) then 'late'
    -- Whatever they tried failed, at least five times and for ten minutes.
    when (
      select count(*) >= 5 and bool_and((r.counts ->> 'failed')::integer > 0 and (
        select coalesce(sum(value::integer), 0) = 0 from jsonb_each_text(r.counts)
        where key not in ('failed', 'suspected', 'orphansHeld', 'alertsSent')
      ))
      from public.reconcile_runs r where r.created_at > now() - interval '10 minutes'
    ) then 'failing'
  end
  from public.installation i
$$;

COMMENT ON FUNCTION public.reconcile_problem IS 'What is wrong with reconcile: never (it has not run yet), late (not for ten minutes), failing (all it tried has failed for ten minutes); null when nothing is.';

REVOKE ALL ON FUNCTION public.reconcile_problem FROM PUBLIC;
GRANT ALL ON FUNCTION public.reconcile_problem TO service_role;

-- reconcile_runs_after_insert ---------------------------------------------------------------------

CREATE FUNCTION public.reconcile_runs_after_insert() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  perform public.add_to_metric('reconcile_actions', jsonb_build_object('action', key), value::bigint)
  from jsonb_each_text(new.counts);
  return null;
end
$$;

REVOKE ALL ON FUNCTION public.reconcile_runs_after_insert FROM PUBLIC;
GRANT ALL ON FUNCTION public.reconcile_runs_after_insert TO service_role;

-- record_failed_change ----------------------------------------------------------------------------

CREATE FUNCTION public.record_failed_change(
    p_id uuid,
    p_change text,
    p_error_code text,
    p_request_id text,
    p_duration_ms integer
) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  insert into public.machine_events (cloud_machine_id, request_id, kind, error_code, duration_ms, detail)
  values (p_id, p_request_id, 'change_failed', p_error_code, p_duration_ms, jsonb_build_object('change', p_change))
$$;

COMMENT ON FUNCTION public.record_failed_change IS 'Notes that a start, stop or suspend (p_change) failed; the row stays as it is.';

REVOKE ALL ON FUNCTION public.record_failed_change FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_failed_change TO service_role;

-- record_failed_request ---------------------------------------------------------------------------

CREATE FUNCTION public.record_failed_request(
    p_request_id text,
    p_error_code text,
    p_duration_ms integer,
    p_call text DEFAULT NULL::text
) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  insert into public.machine_events (request_id, kind, error_code, duration_ms, detail)
  values (
    p_request_id, 'failed', p_error_code, p_duration_ms,
    case when p_call is null then '{}' else jsonb_build_object('call', p_call) end
  )
  on conflict do nothing
$$;

COMMENT ON FUNCTION public.record_failed_request IS 'Notes a request that failed before it had a row, so that metrics and alerts know of it: once for each p_call, which the function has made up.';

REVOKE ALL ON FUNCTION public.record_failed_request FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_failed_request TO service_role;

-- record_fly_machine ------------------------------------------------------------------------------

CREATE FUNCTION public.record_fly_machine(
    p_id uuid,
    p_fly_machine_id text,
    p_region text,
    p_request_id text,
    p_duration_ms integer
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_machine public.cloud_machines;
begin
  -- Whatever the status: a Fly machine whose row was closed meanwhile still has to be found.
  update public.cloud_machines
  set fly_machine_id = p_fly_machine_id, region = p_region
  where id = p_id and fly_machine_id is distinct from p_fly_machine_id
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (p_id, p_request_id, 'fly_machine_recorded', p_duration_ms,
      jsonb_build_object('fly_machine_id', p_fly_machine_id, 'region', p_region));
  else
    select * into v_machine from public.cloud_machines where id = p_id;
  end if;

  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.status = 'provisioning' and v_machine.destroy_requested_at is null then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

COMMENT ON FUNCTION public.record_fly_machine IS 'Writes Fly.io''s id to the row. outcome: applied; conflict when the row is no longer provisioning or must be destroyed; not_found.';

REVOKE ALL ON FUNCTION public.record_fly_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_fly_machine TO service_role;

-- record_pooled_machine ---------------------------------------------------------------------------

CREATE FUNCTION public.record_pooled_machine(
    p_id uuid,
    p_fly_machine_id text,
    p_region text
) RETURNS boolean
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  update public.pooled_machines
  set fly_machine_id = p_fly_machine_id, region = p_region, reconcile_at = made_until
  where id = p_id and state = 'making';
  return found;
end
$$;

COMMENT ON FUNCTION public.record_pooled_machine IS 'The entry''s machine and addresses have been made. False: the entry was discarded meanwhile.';

REVOKE ALL ON FUNCTION public.record_pooled_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_pooled_machine TO service_role;

-- record_reconcile_run ----------------------------------------------------------------------------

CREATE FUNCTION public.record_reconcile_run(
    p_request_id text,
    p_duration_ms integer,
    p_counts jsonb
) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  insert into public.reconcile_runs (request_id, duration_ms, counts)
  values (p_request_id, p_duration_ms, p_counts)
$$;

COMMENT ON FUNCTION public.record_reconcile_run IS 'Notes that a run of reconcile finished and what it did.';

REVOKE ALL ON FUNCTION public.record_reconcile_run FROM PUBLIC;
GRANT ALL ON FUNCTION public.record_reconcile_run TO service_role;

-- rename_machine ----------------------------------------------------------------------------------

CREATE FUNCTION public.rename_machine(
    p_id uuid,
    p_taken_name text,
    p_name_prefix text,
    p_random text,
    p_websocket_url_template text,
    p_request_id text,
    p_duration_ms integer
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_name constant text :=
    p_name_prefix || '-' || (select tag from public.installation) || '-' || p_random;
  v_machine public.cloud_machines;
begin
  update public.cloud_machines
  set machine_id = v_name, fly_app_name = v_name,
    former_machine_ids = former_machine_ids || machine_id,
    websocket_url = replace(replace(p_websocket_url_template, '{app}', v_name), '{machineId}', v_name)
  where id = p_id and machine_id = p_taken_name and fly_app_name = p_taken_name
    and status = 'provisioning' and destroy_requested_at is null and fly_machine_id is null
  returning * into v_machine;

  if found then
    insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
    values (p_id, p_request_id, 'renamed', p_duration_ms,
      jsonb_build_object('from', p_taken_name, 'to', v_name));
  else
    select * into v_machine from public.cloud_machines where id = p_id;
  end if;

  return jsonb_build_object(
    'outcome', case
      when v_machine.id is null then 'not_found'
      when v_machine.machine_id = v_name and v_machine.status = 'provisioning'
        and v_machine.destroy_requested_at is null then 'applied'
      else 'conflict'
    end,
    'machine', to_jsonb(v_machine)
  );
end
$$;

COMMENT ON FUNCTION public.rename_machine IS 'Gives the row another name, prefix-tag-p_random, since p_taken_name is a stranger''s at Fly.io. outcome: applied (also when it already was); conflict when the row was closed, must be destroyed or has a machine; not_found.';

REVOKE ALL ON FUNCTION public.rename_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.rename_machine TO service_role;

-- replace_pooled_machine --------------------------------------------------------------------------

CREATE FUNCTION public.replace_pooled_machine(
    p_id uuid,
    p_refused_name text,
    p_reason text,
    p_config_hash text,
    p_standby text,
    p_name_prefix text,
    p_random text,
    p_websocket_url_template text,
    p_max_machines integer,
    p_rate_per_second numeric,
    p_burst integer,
    p_wait_at_most_ms integer,
    p_request_id text,
    p_duration_ms integer
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_machine public.cloud_machines;
  v_next public.pooled_machines;
  v_name text;
  v_slot_at timestamptz;
  v_wait_ms integer := 0;
  v_granted boolean;
begin
  select * into v_machine from public.cloud_machines where id = p_id for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found');
  end if;
  if v_machine.status <> 'provisioning' or v_machine.destroy_requested_at is not null then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_machine));
  end if;
  -- The same call again: its answer was lost.
  if v_machine.machine_id <> p_refused_name then
    select greatest(ceil(extract(epoch from slot_at - clock_timestamp()) * 1000), 0) into v_wait_ms
    from public.fly_create_slots where cloud_machine_id = p_id;
    return jsonb_build_object(
      'outcome', case when v_machine.fly_machine_id is null then 'create' else 'pooled' end,
      'machine', to_jsonb(v_machine), 'wait_ms', coalesce(v_wait_ms, 0)
    );
  end if;

  select * into v_next from public.take_pooled_machine(p_config_hash);
  if v_next.id is null then
    -- The machine that could not be started exists until reconcile has destroyed it.
    perform pg_advisory_xact_lock(hashtextextended('provision-machine: all machines', 0));
    if public.count_machines(p_max_machines) >= p_max_machines then
      return jsonb_build_object('outcome', 'full', 'machine', to_jsonb(v_machine));
    end if;
    select slot.slot_at, slot.wait_ms, slot.granted into v_slot_at, v_wait_ms, v_granted
    from public.reserve_create_slot(
      array[v_machine.create_bucket], v_machine.user_id, p_rate_per_second, p_burst, p_wait_at_most_ms
    ) slot;
    if not v_granted then
      return jsonb_build_object('outcome', 'no_slot', 'machine', to_jsonb(v_machine), 'wait_ms', v_wait_ms);
    end if;
  end if;
  v_name := coalesce(
    v_next.machine_id,
    p_name_prefix || '-' || (select tag from public.installation) || '-' || p_random
  );

  insert into public.pooled_machines (
    machine_id, fly_app_name, fly_machine_id, create_bucket, region, standby, config_hash, websocket_url,
    state, discard_reason, reconcile_at, made_until
  ) values (
    v_machine.machine_id, v_machine.fly_app_name, v_machine.fly_machine_id, v_machine.create_bucket,
    v_machine.region, p_standby, p_config_hash, v_machine.websocket_url,
    'discarded', left(p_reason, 500), now(), now()
  );
  update public.cloud_machines
  set machine_id = v_name, fly_app_name = v_name,
    fly_machine_id = v_next.fly_machine_id, region = coalesce(v_next.region, region),
    former_machine_ids = former_machine_ids || machine_id,
    websocket_url_template = null,
    websocket_url = coalesce(
      v_next.websocket_url,
      replace(replace(p_websocket_url_template, '{app}', v_name), '{machineId}', v_name)
    )
  where id = p_id
  returning * into v_machine;
  if v_wait_ms > 0 then
    insert into public.fly_create_slots (app_name, slot_at, cloud_machine_id, user_id)
    values (v_machine.create_bucket, v_slot_at, p_id, v_machine.user_id);
  end if;
  insert into public.machine_events (cloud_machine_id, request_id, kind, duration_ms, detail)
  values (p_id, p_request_id, 'renamed', p_duration_ms, jsonb_build_object(
    'from', p_refused_name, 'to', v_name, 'reason', left(p_reason, 500)
  ));
  return jsonb_build_object(
    'outcome', case when v_next.id is null then 'create' else 'pooled' end,
    'machine', to_jsonb(v_machine), 'wait_ms', v_wait_ms
  );
end
$$;

COMMENT ON FUNCTION public.replace_pooled_machine IS 'The machine from the pool that this row got cannot be started: it is left to reconcile, and the row gets the next one, or a new name where there is none. outcome: pooled; create (the create may be sent in wait_ms); no_slot (the next slot is wait_ms away) and full, which change nothing; conflict when the row was closed or must be destroyed; not_found.';

REVOKE ALL ON FUNCTION public.replace_pooled_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.replace_pooled_machine TO service_role;

-- request_machine_change --------------------------------------------------------------------------

CREATE FUNCTION public.request_machine_change(
    p_machine_id text,
    p_change text,
    p_request_id text,
    p_user_id uuid DEFAULT NULL::uuid,
    p_project_host text DEFAULT NULL::text
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_machine public.cloud_machines;
  v_kind constant text := p_change || '_requested';
begin
  select * into v_machine from public.cloud_machines
  where (
      machine_id = p_machine_id
      or (former_machine_ids <> '{}' and former_machine_ids @> array[p_machine_id])
    )
    and (p_user_id is null or user_id = p_user_id)
  for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  -- Who is banned may stop what they have, and destroy it.
  if p_change = 'start' and public.user_state(p_user_id) = 'banned' then
    return jsonb_build_object('outcome', 'not_found', 'machine', null, 'banned', true);
  end if;
  if public.is_fenced(p_project_host) then
    return jsonb_build_object('outcome', 'fenced', 'machine', to_jsonb(v_machine));
  end if;
  if v_machine.status not in ('running', 'stopped') or v_machine.destroy_requested_at is not null then
    return jsonb_build_object('outcome', 'conflict', 'machine', to_jsonb(v_machine));
  end if;
  -- The intent: what Fly.io then does was asked for. Asked again, it says nothing new.
  insert into public.machine_events (cloud_machine_id, request_id, kind)
  select v_machine.id, p_request_id, v_kind
  where v_kind is distinct from (
    select kind from public.machine_events where cloud_machine_id = v_machine.id order by id desc limit 1
  );
  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

COMMENT ON FUNCTION public.request_machine_change IS 'Writes the intent to start, stop or suspend (p_change) a live machine. p_user_id null: a service, any owner. outcome: applied, conflict, fenced, not_found (banned: the user may not start it).';

REVOKE ALL ON FUNCTION public.request_machine_change FROM PUBLIC;
GRANT ALL ON FUNCTION public.request_machine_change TO service_role;

-- request_machine_destroy -------------------------------------------------------------------------

CREATE FUNCTION public.request_machine_destroy(
    p_machine_id text,
    p_request_id text,
    p_lease_ms integer,
    p_user_id uuid DEFAULT NULL::uuid,
    p_project_host text DEFAULT NULL::text
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_machine public.cloud_machines;
begin
  select * into v_machine from public.cloud_machines
  where (
      machine_id = p_machine_id
      or (former_machine_ids <> '{}' and former_machine_ids @> array[p_machine_id])
    )
    and (p_user_id is null or user_id = p_user_id)
  for update;
  if not found then
    return jsonb_build_object('outcome', 'not_found', 'machine', null);
  end if;
  if public.is_fenced(p_project_host) then
    return jsonb_build_object('outcome', 'fenced', 'machine', to_jsonb(v_machine));
  end if;
  if v_machine.status = 'destroyed' then
    return jsonb_build_object('outcome', 'already_destroyed', 'machine', to_jsonb(v_machine));
  end if;

  if v_machine.destroy_requested_at is null then
    insert into public.machine_events (cloud_machine_id, request_id, kind)
    values (v_machine.id, p_request_id, 'destroy_requested');
  end if;

  update public.cloud_machines
  set destroy_requested_at = coalesce(destroy_requested_at, now()),
    -- The caller destroys it now; reconcile takes over should the caller die.
    reconcile_at = case
      when status = 'provisioning' then reconcile_at
      else now() + make_interval(secs => p_lease_ms / 1000.0)
    end
  where id = v_machine.id
  returning * into v_machine;

  return jsonb_build_object('outcome', 'applied', 'machine', to_jsonb(v_machine));
end
$$;

COMMENT ON FUNCTION public.request_machine_destroy IS 'Writes the intent to destroy before Fly.io is called. p_user_id null: a service, any owner. outcome: applied, already_destroyed, fenced, not_found.';

REVOKE ALL ON FUNCTION public.request_machine_destroy FROM PUBLIC;
GRANT ALL ON FUNCTION public.request_machine_destroy TO service_role;

-- request_reconcile -------------------------------------------------------------------------------

CREATE FUNCTION public.request_reconcile() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
  v_url text;
  v_key text;
  v_request_id bigint;
begin
  select decrypted_secret into v_url from vault.decrypted_secrets where name = 'provision_machine_url';
  select decrypted_secret into v_key from vault.decrypted_secrets where name = 'provision_machine_secret_key';
  if v_url is null or v_key is null then
    raise exception 'reconcile is not scheduled: put provision_machine_url and provision_machine_secret_key into Vault';
  end if;
  select net.http_post(
    url := v_url || '/reconcile',
    headers := jsonb_build_object('apikey', v_key, 'content-type', 'application/json'),
    body := '{}'::jsonb,
    timeout_milliseconds := 55000
  ) into v_request_id;
  return v_request_id;
end
$$;

COMMENT ON FUNCTION public.request_reconcile IS 'Calls POST /provision-machine/reconcile through pg_net. Fails, visibly in cron.job_run_details, while Vault lacks the URL or the key.';

REVOKE ALL ON FUNCTION public.request_reconcile FROM PUBLIC;

-- reserve_create_slot -----------------------------------------------------------------------------

CREATE FUNCTION public.reserve_create_slot(
    p_app_names text[],
    p_user_id uuid,
    p_rate_per_second numeric,
    p_burst integer,
    p_wait_at_most_ms integer,
    OUT app_name text,
    OUT slot_at timestamp with time zone,
    OUT wait_ms integer,
    OUT granted boolean
) RETURNS record
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  -- Slots are exact and the network is not: without a margin a create that travels a little faster
  -- than the one before it would arrive before Fly.io has refilled its own bucket.
  c_margin constant interval := interval '100 milliseconds';
  v_interval constant interval := make_interval(secs => (1 / p_rate_per_second)::double precision);
  v_now timestamptz;
  v_full_at timestamptz;
  v_free_id bigint;
  v_free_at timestamptz;
  v_turn timestamptz;
begin
  if (select count(*) from public.fly_create_buckets b where b.app_name = any (p_app_names))
    < cardinality(p_app_names) then
    insert into public.fly_create_buckets (app_name)
    select unnest(p_app_names) on conflict do nothing;
  end if;
  -- Whoever reserves waits here for whoever reserved before: a matter of microseconds.
  perform 1 from public.fly_create_buckets b
  where b.app_name = any (p_app_names) order by b.app_name for update;
  v_now := clock_timestamp();

  select b.app_name, greatest(b.full_at, v_now) into reserve_create_slot.app_name, v_full_at
  from public.fly_create_buckets b
  where b.app_name = any (p_app_names)
  order by greatest(b.full_at, v_now), array_position(p_app_names, b.app_name)
  limit 1;

  slot_at := v_full_at - (p_burst - 1) * v_interval;
  if slot_at <= v_now then
    slot_at := v_now;
  else
    slot_at := slot_at + c_margin;
    -- The dead do not hold their places: whoever has not taken a slot for a minute never will.
    delete from public.fly_create_slots s
    where s.app_name = reserve_create_slot.app_name and s.slot_at < v_now - interval '1 minute';
    select s.id, s.slot_at into v_free_id, v_free_at from public.fly_create_slots s
    where s.app_name = reserve_create_slot.app_name and s.cloud_machine_id is null and s.slot_at > v_now
    order by s.slot_at limit 1;
    if v_free_id is not null then
      slot_at := v_free_at;
    end if;
  end if;

  -- Users take turns: this is the user's n-th waiting create, so it goes before the first create that
  -- is somebody else's (n+1)-th, and those from there on each move back by one slot.
  if slot_at > v_now then
    select min(ranked.slot_at) into v_turn
    from (
      select s.slot_at, row_number() over (partition by s.user_id order by s.slot_at) as turn
      from public.fly_create_slots s
      where s.app_name = reserve_create_slot.app_name and s.cloud_machine_id is not null and s.slot_at > v_now
    ) ranked
    where ranked.slot_at < reserve_create_slot.slot_at
      and ranked.turn > 1 + (
        select count(*) from public.fly_create_slots mine
        where mine.app_name = reserve_create_slot.app_name and mine.user_id = p_user_id and mine.slot_at > v_now
      );
  end if;

  wait_ms := ceil(extract(epoch from coalesce(v_turn, slot_at) - v_now) * 1000);
  granted := wait_ms <= p_wait_at_most_ms;
  if not granted then
    return;
  end if;

  if v_free_id is not null then
    delete from public.fly_create_slots s where s.id = v_free_id;
  else
    update public.fly_create_buckets b set full_at = v_full_at + v_interval
    where b.app_name = reserve_create_slot.app_name;
  end if;
  if v_turn is not null then
    update public.fly_create_slots s set slot_at = moved.next_at
    from (
      select q.id, lead(q.slot_at, 1, reserve_create_slot.slot_at) over (order by q.slot_at) as next_at
      from public.fly_create_slots q
      where q.app_name = reserve_create_slot.app_name and q.cloud_machine_id is not null
        and q.slot_at >= v_turn and q.slot_at < reserve_create_slot.slot_at
    ) moved
    where s.id = moved.id;
    slot_at := v_turn;
  end if;
end
$$;

COMMENT ON FUNCTION public.reserve_create_slot IS 'Reserves the next create of one of the apps, the one that is free first. Not granted, and nothing is reserved, when the wait would be too long.';

REVOKE ALL ON FUNCTION public.reserve_create_slot FROM PUBLIC;
GRANT ALL ON FUNCTION public.reserve_create_slot TO service_role;

-- run_reconcile -----------------------------------------------------------------------------------

CREATE PROCEDURE public.run_reconcile()
    LANGUAGE plpgsql
    AS $$
declare
  v_previous bigint;
  v_status integer;
  v_error text;
begin
  select reconcile_request_id into v_previous from public.installation;
  update public.installation set reconcile_request_id = public.request_reconcile();
  -- Whatever came of the call before, this one goes out.
  commit;
  if v_previous is null then
    return;
  end if;
  select status_code, coalesce(error_msg, left(content, 200)) into v_status, v_error
  from net._http_response where id = v_previous;
  if v_status is distinct from 200 then
    raise exception 'the reconcile before this one failed: HTTP %, %',
      coalesce(v_status::text, 'none'), coalesce(v_error, 'no response');
  end if;
end
$$;

COMMENT ON PROCEDURE public.run_reconcile() IS 'For pg_cron: calls reconcile, and fails when the call before was not answered with 200.';

REVOKE ALL ON PROCEDURE public.run_reconcile() FROM PUBLIC;

-- schema_version ----------------------------------------------------------------------------------

CREATE FUNCTION public.schema_version() RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$ select '20261129001320' $$;

COMMENT ON FUNCTION public.schema_version IS 'Version of the newest migration. GET /health compares it with the version that the code expects.';

REVOKE ALL ON FUNCTION public.schema_version FROM PUBLIC;
GRANT ALL ON FUNCTION public.schema_version TO service_role;

-- settle_pool -------------------------------------------------------------------------------------

CREATE FUNCTION public.settle_pool(
    p_pool_size integer,
    p_max_machines integer,
    p_limit integer,
    p_lease_ms integer,
    p_config_hash text DEFAULT NULL::text
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_target constant integer := public.pool_target(p_pool_size, p_max_machines);
  v_discarded jsonb;
  v_due jsonb;
begin
  with useless as (
    select id,
      case when config_hash <> p_config_hash
        then 'the configuration has changed' else 'the pool is larger than it may be' end as reason
    from (
      select id, config_hash, row_number() over (
        partition by config_hash = p_config_hash order by state = 'ready' desc, created_at, id
      ) as place
      from public.pooled_machines where state <> 'discarded'
    ) entries
    where config_hash <> p_config_hash or (p_config_hash is not null and place > v_target)
  ), locked as (
    -- One that is just being claimed is left alone.
    select m.id, u.reason from public.pooled_machines m join useless u on u.id = m.id
    where m.state <> 'discarded'
    for update of m skip locked
  ), discarded as (
    update public.pooled_machines m
    set state = 'discarded', discard_reason = locked.reason, reconcile_at = now()
    from locked where m.id = locked.id
    returning m.machine_id, m.fly_machine_id, m.discard_reason
  )
  select coalesce(jsonb_agg(to_jsonb(discarded)), '[]') into v_discarded from discarded;

  with due as (
    select id from public.pooled_machines
    where reconcile_at <= now()
    order by reconcile_at, id limit p_limit
    for update skip locked
  ), taken as (
    update public.pooled_machines m
    set state = 'discarded', discard_reason = coalesce(discard_reason, 'it was not ready in time'),
      reconcile_at = now() + make_interval(secs => p_lease_ms / 1000.0)
    from due where m.id = due.id
    returning m.*
  )
  select coalesce(jsonb_agg(to_jsonb(taken) order by taken.created_at, taken.id), '[]') into v_due
  from taken;
  return jsonb_build_object('discarded', v_discarded, 'due', v_due);
end
$$;

COMMENT ON FUNCTION public.settle_pool IS 'Discards the entries of another configuration and those beyond the pool''s size, and returns them; p_config_hash null leaves them. due: entries whose machines are to be destroyed, each handed to one taker at a time for p_lease_ms.';

REVOKE ALL ON FUNCTION public.settle_pool FROM PUBLIC;
GRANT ALL ON FUNCTION public.settle_pool TO service_role;

-- take_create_slot --------------------------------------------------------------------------------

CREATE FUNCTION public.take_create_slot(p_id uuid) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_wait_ms integer;
  v_open boolean;
begin
  select m.status = 'provisioning' and m.destroy_requested_at is null into v_open
  from public.cloud_machines m where m.id = p_id;
  if not coalesce(v_open, false) then
    perform public.give_back_create_slot(p_id);
    return jsonb_build_object('outcome', 'closed', 'wait_ms', 0);
  end if;

  select ceil(extract(epoch from s.slot_at - clock_timestamp()) * 1000) into v_wait_ms
  from public.fly_create_slots s where s.cloud_machine_id = p_id;
  if v_wait_ms > 0 then
    return jsonb_build_object('outcome', 'wait', 'wait_ms', v_wait_ms);
  end if;
  delete from public.fly_create_slots s where s.cloud_machine_id = p_id;
  return jsonb_build_object('outcome', 'go', 'wait_ms', 0);
end
$$;

COMMENT ON FUNCTION public.take_create_slot IS 'Asked when a reserved slot has come. outcome: go; wait, because others went first; closed, because the row no longer wants a machine.';

REVOKE ALL ON FUNCTION public.take_create_slot FROM PUBLIC;
GRANT ALL ON FUNCTION public.take_create_slot TO service_role;

-- take_due_alerts ---------------------------------------------------------------------------------

CREATE FUNCTION public.take_due_alerts(p_limit integer, p_lease_ms integer) RETURNS jsonb
    LANGUAGE sql
    SET search_path TO ''
    AS $$
  with due as (
    select a.id from public.alerts a
    where a.next_attempt_at <= now() and not exists (
      -- Messages of a kind go out in their order: no recovery before what it is from.
      select 1 from public.alerts earlier
      where earlier.kind = a.kind and earlier.id < a.id and earlier.next_attempt_at > now()
    )
    order by a.id limit p_limit for update skip locked
  ), taken as (
    update public.alerts a set next_attempt_at = now() + make_interval(secs => p_lease_ms / 1000.0)
    from due where a.id = due.id
    returning a.*
  )
  select coalesce(jsonb_agg(to_jsonb(taken) order by taken.id), '[]') from taken
$$;

COMMENT ON FUNCTION public.take_due_alerts IS 'Messages that could not be sent before, each handed to one taker at a time for p_lease_ms.';

REVOKE ALL ON FUNCTION public.take_due_alerts FROM PUBLIC;
GRANT ALL ON FUNCTION public.take_due_alerts TO service_role;

-- take_due_machines -------------------------------------------------------------------------------

CREATE FUNCTION public.take_due_machines(
    p_limit integer,
    p_lease_ms integer,
    p_call text
) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
  v_taken jsonb;
begin
  -- The same call again: its answer was lost.
  select jsonb_agg(to_jsonb(m) order by m.status <> 'provisioning', m.reconcile_attempts) into v_taken
  from public.cloud_machines m
  where m.reconcile_at is not null and m.leased_by = p_call;
  if v_taken is not null then
    return v_taken;
  end if;

  with due as (
    select m.id, queue.turn, m.reconcile_at as due_at
    from public.cloud_machines m
    join (
      select id, row_number() over (
        partition by user_id order by reconcile_attempts, reconcile_at
      ) as turn
      from public.cloud_machines
      where reconcile_at <= now()
    ) queue on queue.id = m.id
    where m.reconcile_at <= now()
    order by m.status <> 'provisioning', m.reconcile_attempts, queue.turn, m.reconcile_at
    limit p_limit
    for update of m skip locked
  ), taken as (
    -- The lease keeps others away while the taker talks to Fly.io, and gives the row back should it
    -- die. A row that is taken again and again waits longer each time, up to an hour.
    update public.cloud_machines m
    set reconcile_attempts = m.reconcile_attempts + 1, leased_by = p_call,
      reconcile_at = now() + make_interval(secs => p_lease_ms / 1000.0) * case
        when m.status = 'provisioning' then 1
        else least(power(2, m.reconcile_attempts), 60)
      end
    from due
    where m.id = due.id
    returning m as machine, due.turn, due.due_at
  )
  -- In the order of the queue: with too little time, the last are left out.
  select coalesce(jsonb_agg(to_jsonb(machine) order by
    (machine).status <> 'provisioning', (machine).reconcile_attempts, turn, due_at), '[]')
  into v_taken from taken;
  return v_taken;
end
$$;

COMMENT ON FUNCTION public.take_due_machines IS 'Hands rows that are due to reconcile, each to one taker at a time, for p_lease_ms at least: provisioning rows first, then users in turn. The same p_call again gets the same rows.';

REVOKE ALL ON FUNCTION public.take_due_machines FROM PUBLIC;
GRANT ALL ON FUNCTION public.take_due_machines TO service_role;

-- take_pooled_machine -----------------------------------------------------------------------------

CREATE FUNCTION public.take_pooled_machine(p_config_hash text) RETURNS SETOF public.pooled_machines
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
  return query
    delete from public.pooled_machines where id = (
      select id from public.pooled_machines
      where state = 'ready' and config_hash = p_config_hash and missing_since is null
      order by created_at, id limit 1
      for update skip locked
    )
    returning *;
  if found then
    return;
  end if;
  -- Reconcile notes all entries in one statement: that is worth waiting for, and others' claims are over
  -- as soon.
  return query
    delete from public.pooled_machines where id = (
      select id from public.pooled_machines
      where state = 'ready' and config_hash = p_config_hash and missing_since is null
      order by created_at, id limit 1
      for update
    )
    returning *;
end
$$;

COMMENT ON FUNCTION public.take_pooled_machine IS 'Takes the oldest entry of this configuration out of the pool, for a user''s row in the same transaction; none where there is none.';

REVOKE ALL ON FUNCTION public.take_pooled_machine FROM PUBLIC;
GRANT ALL ON FUNCTION public.take_pooled_machine TO service_role;

-- user_state --------------------------------------------------------------------------------------

CREATE FUNCTION public.user_state(p_user_id uuid) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
  -- As Supabase Auth has them: https://github.com/supabase/auth/tree/master/migrations
  select case when banned_until > now() then 'banned' else 'active' end
  from auth.users where id = p_user_id and deleted_at is null
$$;

COMMENT ON FUNCTION public.user_state IS 'active or banned; null: there is no such user, or only what a soft deletion has left.';

REVOKE ALL ON FUNCTION public.user_state FROM PUBLIC;
GRANT ALL ON FUNCTION public.user_state TO service_role;
