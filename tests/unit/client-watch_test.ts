/** The client's watch: what it reads when, and what it says about it. */
import assert from "node:assert/strict";
import type { Call } from "../../client/src/call.ts";
import { failed } from "../../client/src/errors.ts";
import type { RealtimeChannelLike, RealtimeSource } from "../../client/src/types.ts";
import { watch } from "../../client/src/watch.ts";
import { until } from "../support/until.ts";

const ROW = { id: "1", machine_id: "machine-1", status: "running" };

/** supabase-js, with the server's side in the test's hands. */
class FakeRealtime implements RealtimeSource {
  readonly joined: { change: () => void; status: (status: string) => void; left: boolean }[] = [];

  channel(): RealtimeChannelLike {
    const changes: (() => void)[] = [];
    const joined = { change: () => changes.forEach((change) => change()), left: false };
    const channel: RealtimeChannelLike = {
      on: (_type, _filter, change) => (changes.push(change), channel),
      subscribe: (status) => this.joined.push(Object.assign(joined, { status })),
      unsubscribe: () => Promise.resolve(joined.left = true),
    };
    return channel;
  }
}

/** Answers reads with what `answers` has next, the last one again and again. */
function reads(...answers: (unknown[] | Error)[]): { call: Call; paths: string[] } {
  const paths: string[] = [];
  return {
    paths,
    call: (path) => {
      const answer = answers[Math.min(paths.push(path), answers.length) - 1];
      return answer instanceof Error
        ? Promise.reject(answer)
        : Promise.resolve({ body: answer, headers: new Headers() });
    },
  };
}

Deno.test("without Realtime it polls; a failure is a state, and what was read stays", async () => {
  const { call, paths } = reads([], failed("no network"), [ROW]);
  const seen: string[] = [];
  const watched = watch(call, undefined, {
    onMachines: (machines) => seen.push(`${machines.length} machines`),
    onState: (state, readAt) => seen.push(readAt === null ? state : `${state}, known`),
    pollMs: () => 0,
    limit: 3,
    events: true,
  });
  // After a failure it waits; a change that the caller knows of is read at once.
  await until("it has failed", () => seen.includes("failing, known"));
  watched.refresh();
  await until("it has read again", () => seen.includes("1 machines"));
  watched.close();
  assert.deepEqual(
    seen.slice(0, 6),
    ["reading", "0 machines", "polling, known", "failing, known", "1 machines", "polling, known"],
  );
  const count = paths.length;
  watched.refresh();
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(paths.length, count, "after its end it reads nothing");
  const query = new URL(paths[0] ?? "", "http://localhost").searchParams;
  assert.deepEqual(
    [query.get("limit"), query.get("order"), query.get("machine_events.order")],
    ["3", "created_at.desc", "id"],
  );
});

Deno.test("a change that Realtime reports is read", async () => {
  const realtime = new FakeRealtime();
  const { call, paths } = reads([ROW]);
  const states: string[] = [];
  const leaving = new AbortController();
  watch(call, realtime, {
    onMachines: () => {},
    onState: (state) => states.push(state),
    signal: leaving.signal,
  });
  const [channel] = realtime.joined;
  assert.ok(channel);
  await until("it polls", () => states.at(-1) === "polling");
  channel.status("SUBSCRIBED");
  // What changed before the subscription began was not reported.
  await until("it has read again", () => paths.length === 2);
  assert.equal(states.at(-1), "realtime");
  channel.change();
  channel.change();
  await until("it has read once more", () => paths.length === 3);
  channel.status("CHANNEL_ERROR");
  assert.deepEqual([states.at(-1), channel.left], ["polling", true]);
  // Its own leaving is reported by supabase-js as well.
  channel.status("CLOSED");
  leaving.abort();
  assert.equal(realtime.joined.length, 1);
});

Deno.test("rows of another form are a failure, not machines", async () => {
  const states: string[] = [];
  for (const body of [[{ id: 1 }], [null]]) {
    const watched = watch(reads(body).call, undefined, {
      onMachines: () => assert.fail("no machines"),
      onState: (state) => states.push(state),
    });
    await until("it has failed", () => states.at(-1) === "failing");
    watched.close();
  }
});
