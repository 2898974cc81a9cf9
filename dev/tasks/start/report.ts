/** What `deno task dev` says of the first machine, and of how to go on. */
import { describeDatabaseUrl } from "../../stack/supabase/database.ts";
import { FUNCTION_NAME } from "./call-function.ts";
import { DEMO_PASSWORD, type DemoUser } from "./demo-users.ts";
import type { Connection, FirstMachine } from "./first-machine.ts";
import type { Paint } from "./log-lines.ts";
import type { LocalStack } from "./stack.ts";

/** The answer, the row, and what came of connecting to the machine. */
export function describeFirstMachine(machine: FirstMachine, paint: Paint): string {
  const { status, answer, row, connection, runs } = machine;
  const answerText = typeof answer === "string" ? answer : JSON.stringify(answer, null, 2);
  return [
    "",
    paint("bold", `Answer: ${status === null ? "none" : `HTTP ${status}`}`),
    indent(answerText),
    "",
    paint("bold", `Row in cloud_machines, as its owner reads it${row === null ? ": none" : ""}`),
    ...(row === null ? [] : [indent(table(presentValues(row)))]),
    "",
    ...describeConnection(connection, paint),
    "",
    runs
      ? paint(["bold", "green"], `✅ The machine is running: ${row?.machine_id}`)
      : paint(["bold", "red"], "❌ The machine is not running: see the answer and the log lines."),
  ].join("\n");
}

function describeConnection(connection: Connection, paint: Paint): string[] {
  switch (connection.kind) {
    case "greeted":
      return [
        paint("bold", `The machine's first words at ${connection.url}`),
        indent(connection.greeting),
      ];
    case "failed":
      return [
        paint(["bold", "red"], `The machine did not answer at ${connection.url}`),
        indent(connection.reason),
      ];
    case "not-tried":
      return [paint("bold", "No connection was tried"), indent(connection.reason)];
  }
}

/** Input of {@link describeStack}. */
export interface StackFacts {
  stack: LocalStack;
  /** Where the web page is served. */
  consoleUrl: string;
  users: DemoUser[];
  /** Who provisions with the printed command, and a token of theirs. */
  curlUser: DemoUser;
  curlToken: string;
  /** Whose machine the other command connects to; null if there is none. */
  connectable: { machineId: string; email: string; token: string } | null;
  reconcileIntervalMs: number;
}

/** URLs, keys, and commands to paste. */
export function describeStack(facts: StackFacts, paint: Paint): string {
  const { stack: { supabase, simulator, fromShell }, users, curlUser, curlToken } = facts;
  const functionUrl = `${supabase.url}/functions/v1/${FUNCTION_NAME}`;
  const command = (what: string, lines: string[]) => [
    paint("bold", what),
    indent(lines.join(" \\\n  ")),
    "",
  ];
  return [
    "",
    paint("bold", "Serving; Ctrl-C ends everything."),
    indent(table({
      "Console": `${facts.consoleUrl} (a web page: provision, watch, connect)`,
      "Supabase": supabase.url,
      "Function": `${functionUrl} (restarts when its files change)`,
      "For operators":
        "/health, /metrics and /reconcile below it, with the header apikey: <secret key>",
      "Database": supabase.databaseUrl === null
        ? "PGlite in memory, gone at the end"
        : describeDatabaseUrl(supabase.databaseUrl),
      "Publishable key": supabase.publishableKey,
      "Secret key": supabase.secretKey,
      "Users": `${users.map(({ email }) => email).join(", ")} (password ${DEMO_PASSWORD})`,
      ...(simulator && {
        "Fly.io's simulator": `${simulator.api.url} (see /_control/state and /_control/requests)`,
        "Fly Proxy": `${simulator.proxy.url}/host/{app}.fly.dev (stands for https://{app}.fly.dev)`,
      }),
      ...(fromShell.length > 0 && { "From your shell": fromShell.join(", ") }),
      "Reconcile": `every ${facts.reconcileIntervalMs / 1000} s`,
    })),
    "",
    ...command(`Provision a machine as ${curlUser.email} (the token is valid for 24 hours):`, [
      `curl -X POST ${functionUrl}`,
      `-H 'Authorization: Bearer ${curlToken}'`,
      `-H 'Content-Type: application/json'`,
      `-d '{"cpuPriority": "low"}'`,
    ]),
    ...(facts.connectable === null ? [] : command(
      `Get the address of ${facts.connectable.email}'s machine and a token for it, for a minute ` +
        "(connect to websocketUrl?token=…):",
      [
        `curl -X POST ${functionUrl}/${facts.connectable.machineId}/connect`,
        `-H 'Authorization: Bearer ${facts.connectable.token}'`,
      ],
    )),
    ...(simulator
      ? command("Let Fly.io refuse the next machine, then provision again:", [
        `curl -X POST ${simulator.api.url}/_control/faults`,
        `-d '{"match": {"action": "create"}, ` +
        `"do": {"kind": "status", "status": 422, "body": {"error": "invalid image"}}}'`,
      ])
      : []),
    paint("bold", "Log lines of the function:"),
  ].join("\n");
}

/** What only reconcile and the pacing of creates use. */
const BOOKKEEPING = [
  "create_bucket",
  "failed_since",
  "former_machine_ids",
  "leased_by",
  "missing_since",
  "reconcile_at",
  "reconcile_attempts",
];

/** The columns that matter to a reader; empty ones are left out. */
function presentValues(row: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(row)
      .filter(([name, value]) => value !== null && value !== "" && !BOOKKEEPING.includes(name))
      .map(([name, value]) => [name, String(value)]),
  );
}

function table(rows: Record<string, string>): string {
  const width = Math.max(...Object.keys(rows).map((name) => name.length));
  return Object.entries(rows).map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}

function indent(text: string): string {
  return text.split("\n").map((line) => `  ${line}`).join("\n");
}
