/**
 * Messages of Realtime in version 2.0.0 of its protocol, the one that supabase-js speaks:
 * https://supabase.com/docs/guides/realtime/protocol, and `serializer.js` and `RealtimeChannel.js` of
 * npm:@supabase/realtime-js@2.119.1.
 */
import { z } from "zod";

/** `[join_ref, ref, topic, event, payload]` */
const messageSchema = z.tuple([
  z.string().nullable(),
  z.string().nullable(),
  z.string(),
  z.string(),
  z.record(z.string(), z.unknown()),
]);
export type Message = z.output<typeof messageSchema>;

/** What a client sent; undefined if it is no message. */
export function parseMessage(data: unknown): Message | undefined {
  try {
    return messageSchema.safeParse(JSON.parse(String(data))).data;
  } catch {
    // Not JSON.
    return undefined;
  }
}

/** What a client wants to hear of. */
export const subscriptionSchema = z.object({
  event: z.enum(["*", "INSERT", "UPDATE", "DELETE"]),
  schema: z.string(),
  table: z.string().optional(),
  filter: z.string().optional(),
});
export type Subscription = z.output<typeof subscriptionSchema>;

/** The payload of `phx_join`. */
export const joinSchema = z.object({
  config: z.object({
    postgres_changes: z.array(subscriptionSchema).default([]),
    private: z.boolean().default(false),
  }).default({ postgres_changes: [], private: false }),
  access_token: z.string().nullish(),
});

/** A row that was changed, as a trigger saw it. */
export const changeSchema = z.object({
  schema: z.string(),
  table: z.string(),
  type: z.enum(["INSERT", "UPDATE", "DELETE"]),
  commit_timestamp: z.string(),
  record: z.record(z.string(), z.unknown()).nullable(),
  old_record: z.record(z.string(), z.unknown()).nullable(),
});
export type Change = z.output<typeof changeSchema>;

const FILTER = /^([a-z_][a-z0-9_]*)=(eq|neq|in)\.(.*)$/i;

/** Whether a filter is one of those that are played here. */
export function isKnownFilter(filter: string): boolean {
  return FILTER.test(filter);
}

/** Whether a change is one that the subscription is for; whether it may be seen is another matter. */
export function concerns(change: Change, subscription: Subscription): boolean {
  const { event, schema, table = "*", filter } = subscription;
  if (event !== "*" && event !== change.type) return false;
  if (schema !== "*" && schema !== change.schema) return false;
  if (table !== "*" && table !== change.table) return false;
  if (filter === undefined) return true;
  const [, column = "", operator, wanted = ""] = FILTER.exec(filter) ?? [];
  const value = String((change.record ?? change.old_record)?.[column]);
  if (operator === "in") return wanted.replace(/^\(|\)$/g, "").split(",").includes(value);
  return (value === wanted) === (operator === "eq");
}
