/** A stack with a webhook, and what tests of alerts do with it. */
import assert from "node:assert/strict";
import type { FlyFault } from "../../dev/stack/fly/mod.ts";
import { type Answer, FLY_APP, type Stack, startStack } from "./stack.ts";
import type { RunningFunction } from "./running-function.ts";
import { until } from "./until.ts";
import { Webhook } from "./webhook.ts";

export interface AlertRow {
  id: number;
  kind: string;
  event: string;
  attempts: number;
  next_attempt_at: Date | string | null;
  sent_at: Date | string | null;
  last_error: string | null;
}

const REFUSED: FlyFault = { kind: "status", status: 422, body: { error: "invalid image" } };
/** A machine with a row, for events that a test writes directly. */
const ROWLESS = "a request that a test made up";

export class Alerting implements AsyncDisposable {
  private constructor(readonly stack: Stack, readonly webhook: Webhook) {}

  static async start(env: Record<string, string> = {}): Promise<Alerting> {
    const webhook = Webhook.start();
    const stack = await startStack({
      env: { FLY_REGIONS: "iad,fra", ALERT_WEBHOOK_URL: webhook.url, ...env },
      fly: { apps: [FLY_APP] },
    });
    // An alert that fails after its request ended belongs to no request, so it has no summary.
    stack.fn.expectCutOff("none");
    return new Alerting(stack, webhook);
  }

  /** A call that Fly.io refuses. Resolves with its answer. */
  async fail(fn: RunningFunction = this.stack.fn): Promise<Answer> {
    const { simulator, supabase } = this.stack;
    const user = await supabase.createUser();
    simulator.addFault({ match: { action: "create" }, do: REFUSED });
    const answer = await fn.call(user, { body: {} });
    assert.equal(answer.status, 500, JSON.stringify(answer.body));
    return answer;
  }

  /** A failed call, after its alert was decided and, if due, sent. */
  async failAndSettle(fn?: RunningFunction): Promise<Answer> {
    const decided = this.decisions();
    const answer = await this.fail(fn);
    await until("the alert is decided", () => this.decisions() > decided);
    await this.sent();
    return answer;
  }

  /** Resolves when no message is being sent. */
  async sent(): Promise<void> {
    await until("no message is under way", async () => {
      const rows = await this.stack.supabase.sql(
        "select 1 from alerts where attempts = 0 and next_attempt_at > now()",
      );
      return rows.length === 0;
    });
  }

  /** How often Postgres was asked, and has answered, whether to alert. */
  decisions(): number {
    return this.stack.supabase.requests({ rpc: "evaluate_alerts" })
      .filter(({ status }) => status === 200).length;
  }

  rows(): Promise<AlertRow[]> {
    return this.stack.supabase.sql<AlertRow>("select * from alerts order by id");
  }

  /** Inserts failures as if requests had just failed. */
  async failures(code: string, count: number): Promise<void> {
    await this.stack.supabase.sql(
      `insert into machine_events (request_id, kind, error_code)
       select $1, 'failed', $2 from generate_series(1, $3::int)`,
      [ROWLESS.replaceAll(" ", "-"), code, count],
    );
  }

  /** Inserts an attempt that succeeded just now. */
  async success(): Promise<void> {
    await this.stack.supabase.sql(
      "insert into machine_events (request_id, kind) values ('a-success', 'running')",
    );
  }

  /** Moves everything that alerts depend on into the past. */
  async pass(minutes: number): Promise<void> {
    const { sql } = this.stack.supabase;
    const ago = `- interval '${minutes} minutes'`;
    await sql("alter table machine_events disable trigger machine_events_are_append_only");
    await sql(`update machine_events set created_at = created_at ${ago}`);
    await sql("alter table machine_events enable trigger machine_events_are_append_only");
    await sql(`update alert_codes set last_alert_at = last_alert_at ${ago}`);
    await sql(
      `update alerts set created_at = created_at ${ago}, next_attempt_at = next_attempt_at ${ago}`,
    );
  }

  /** Deletes every failure and alert. */
  async reset(): Promise<void> {
    const { sql } = this.stack.supabase;
    await sql("delete from alerts");
    await sql("update alert_states set firing = false, held_back = null");
    await sql("delete from alert_codes");
    await sql("delete from machine_events");
    this.webhook.deliveries.length = 0;
  }

  /** Runs reconcile; resolves with how many messages it sent. */
  async reconcile(): Promise<number> {
    const { status, body } = await this.stack.reconcile();
    assert.equal(status, 200, JSON.stringify(body));
    return body.alertsSent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { stack, webhook } = this;
    try {
      for (const { raw } of webhook.deliveries) stack.secrets.assertAbsent(raw, "an alert");
    } finally {
      await stack[Symbol.asyncDispose]();
      await webhook[Symbol.asyncDispose]();
    }
  }
}
