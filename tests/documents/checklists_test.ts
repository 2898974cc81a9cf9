/**
 * The checklists of docs/DEVELOPING.md: a forgotten step fails here with a sentence that says
 * what is missing. The steps of a migration are checked by the tests in tests/database.
 */
import assert from "node:assert/strict";
import { ERROR_CODES as CLIENT_CODES } from "../../client/src/codes.ts";
import { EXPLANATIONS } from "../../console/page/error-sentences.ts";
import { startSupabase } from "../../dev/stack/supabase/mod.ts";
import { ENVIRONMENT } from "../../supabase/functions/provision-machine/config/environment.ts";
import { ROUTES } from "../../supabase/functions/provision-machine/routes.ts";
import { type DocumentedCode, ERROR_CODES, isRowCode } from "./error-codes.ts";
import { codeIn, oneLine, readDocument, sectionsOf, tableRows } from "./markdown.ts";

const API = await readDocument("docs/API.md");
const OPERATIONS = await readDocument("docs/OPERATIONS.md");
const RUNBOOK = await readDocument("docs/RUNBOOK.md");
const ENV_EXAMPLE = await readDocument("supabase/functions/.env.example");

/** All that is missing, in one message. */
function assertNothingMissing(missing: string[]): void {
  assert.ok(missing.length === 0, missing.join("\n"));
}

Deno.test("every route is in docs/API.md", () => {
  const documented = tableRows(API).map(([call = ""]) => codeIn(call)).filter((call) =>
    /^(GET|POST|PUT|PATCH|DELETE) \//.test(call ?? "")
  );
  const routes = ROUTES.map(({ method, path }) =>
    `${method} /provision-machine${path === "/" ? "" : path}`
  );
  assertNothingMissing([
    ...routes.filter((route) => !documented.includes(route))
      .map((route) => `docs/API.md: the table of calls lacks ${route}`),
    ...documented.filter((call) => !routes.includes(call ?? ""))
      .map((call) => `docs/API.md: routes.ts has no ${call}: remove it from the table of calls`),
  ]);
});

Deno.test("every setting is in docs/OPERATIONS.md, with its default", () => {
  const rows = new Map(
    tableRows(OPERATIONS).map(([name = "", value = ""]) => [codeIn(name), value]),
  );
  assertNothingMissing(
    Object.entries(ENVIRONMENT).flatMap(([name, schema]) => {
      const row = rows.get(name);
      if (row === undefined) return [`docs/OPERATIONS.md: the table of settings lacks ${name}`];
      const unset = schema.safeParse(undefined);
      const expected = unset.success ? unset.data : "required";
      const documented = documentedDefault(row, (text) => schema.safeParse(text).data);
      return isSame(documented, expected) ? [] : [
        `docs/OPERATIONS.md: the default of ${name} is ${show(expected)}, not ${row}`,
      ];
    }),
  );
});

Deno.test("every setting that an operator sets is in .env.example", () => {
  const required = new Set(matchesOf(/^([A-Z_]+)=/gm, ENV_EXAMPLE));
  const optional = new Map(
    [...ENV_EXAMPLE.matchAll(/^# ([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
  );
  assertNothingMissing(
    Object.entries(ENVIRONMENT).filter(([name]) => !name.startsWith("SUPABASE_"))
      .flatMap(([name, schema]) => {
        const unset = schema.safeParse(undefined);
        if (!unset.success) {
          return required.has(name)
            ? []
            : [`supabase/functions/.env.example: lacks ${name}=, which is required`];
        }
        const example = optional.get(name);
        if (example === undefined) {
          return [`supabase/functions/.env.example: lacks "# ${name}=" with its default`];
        }
        return isSame(schema.safeParse(example || undefined).data, unset.data) ? [] : [
          `supabase/functions/.env.example: the default of ${name} is ${
            show(unset.data)
          }, not ${example}`,
        ];
      }),
  );
});

Deno.test("every error code has its row in docs/API.md", () => {
  const rows = apiRows();
  const codes = ERROR_CODES.map(({ code }) => code);
  assertNothingMissing([
    ...ERROR_CODES.flatMap(({ code, status, retry, retryAfterSeconds }) => {
      const row = rows.get(code);
      if (row === undefined) return [`docs/API.md: the table of errors lacks ${code}`];
      const right = String(status ?? "") === row.status &&
        (retry ?? "") === row.retry && String(retryAfterSeconds ?? "–") === row.retryAfter;
      return right ? [] : [
        `docs/API.md: ${code} is HTTP ${status} with Retry-After ${retryAfterSeconds ?? "–"} and ` +
        `retry ${retry}, not HTTP ${row.status} with ${row.retryAfter} and ${row.retry}`,
      ];
    }),
    ...[...rows.keys()].filter((code) => !codes.includes(code))
      .map((code) => `docs/API.md: errors.ts has no ${code}: remove it from the table of errors`),
  ]);
});

Deno.test("every error code has its section in docs/RUNBOOK.md, with the same advice", () => {
  const sections = new Map(
    sectionsOf(RUNBOOK).map(({ heading, text }) => [codeIn(heading), oneLine(text)]),
  );
  const rows = apiRows();
  assertNothingMissing(ERROR_CODES.flatMap((entry) => {
    const section = sections.get(entry.code);
    if (section === undefined) return [`docs/RUNBOOK.md: lacks a section \`${entry.code}\``];
    const wanted = [
      callerLine(entry, rows.get(entry.code)?.advice ?? ""),
      ...(entry.operatorHint === null ? [] : [`**First:** ${entry.operatorHint}`]),
    ];
    return wanted.filter((line) => !section.includes(line))
      .map((line) => `docs/RUNBOOK.md: ${entry.code} must say "${line}"`);
  }));
});

Deno.test("every error code that a row can have is accepted by the database", async () => {
  const supabase = await startSupabase();
  try {
    const [constraint] = await supabase.sql<{ definition: string }>(
      "select pg_get_constraintdef(oid) as definition from pg_constraint where conname = 'error_code_is_known'",
    );
    const accepted = matchesOf(/'([a-z_]+)'/g, constraint?.definition ?? "");
    const wanted = ERROR_CODES.filter(isRowCode).map(({ code }) => code);
    assertNothingMissing([
      ...wanted.filter((code) => !accepted.includes(code))
        .map((code) => `supabase/migrations: error_code_is_known does not accept ${code}`),
      ...accepted.filter((code) => !wanted.includes(code))
        .map((code) =>
          `supabase/migrations: error_code_is_known accepts ${code}, which is no code`
        ),
    ]);
  } finally {
    await supabase.close();
  }
});

Deno.test("every error code has its sentence in the console and is known to the client", () => {
  assertNothingMissing(ERROR_CODES.flatMap(({ code, status }) => [
    ...(Object.hasOwn(EXPLANATIONS, code)
      ? []
      : [`console/page/error-sentences.ts: lacks a sentence for ${code}`]),
    ...(status === null || CLIENT_CODES.some((known) => known === code)
      ? []
      : [`client/src/codes.ts: ERROR_CODES lacks ${code}`]),
  ]));
});

Deno.test("every task is in docs/DEVELOPING.md", async () => {
  const { tasks } = JSON.parse(await readDocument("deno.json"));
  const documented = tableRows(await readDocument("docs/DEVELOPING.md"))
    .flatMap(([cell = ""]) => matchesOf(/`([^`]+)`/g, cell));
  assertNothingMissing(
    Object.keys(tasks).map((task) => task.replace(/^bench:.*/, "bench:…"))
      .filter((task) => !documented.includes(task))
      .map((task) => `docs/DEVELOPING.md: the table of tasks lacks ${task}`),
  );
});

interface ApiRow {
  /** Empty for a code that only a row has. */
  status: string;
  retryAfter: string;
  /** Empty for a code that only a row has. */
  retry: string;
  advice: string;
}

/** What docs/API.md says about each code. */
function apiRows(): Map<string, ApiRow> {
  const errors = sectionsOf(API).find(({ heading }) => heading === "Errors")?.text ?? "";
  return new Map(
    tableRows(errors).flatMap((cells): [string, ApiRow][] => {
      const [first = "", second = "", third = "", fourth = "", fifth = ""] = cells;
      const answered = /^\d{3}$/.test(first);
      const code = codeIn(answered ? second : first);
      if (code === undefined) return [];
      return [[
        code,
        answered
          ? { status: first, retryAfter: third, retry: codeIn(fourth) ?? "", advice: fifth }
          : { status: "", retryAfter: "–", retry: "", advice: second },
      ]];
    }),
  );
}

/** The line of the runbook about what callers see and can do. */
function callerLine({ status, retryAfterSeconds }: DocumentedCode, advice: string): string {
  if (status === null) return `Never answered. Owners: ${advice}`;
  const pause = retryAfterSeconds === null ? "" : `, Retry-After ${retryAfterSeconds} s`;
  return `HTTP ${status}${pause}. Callers: ${advice}`;
}

/** What a cell of the table of settings means: "required", undefined for "none", else the value. */
function documentedDefault(cell: string, parse: (text: string) => unknown): unknown {
  if (cell === "required") return "required";
  if (cell === "none") return undefined;
  return parse(codeIn(cell) ?? "");
}

function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function show(value: unknown): string {
  return value === undefined ? "none" : String(value);
}

function matchesOf(pattern: RegExp, text: string): string[] {
  return [...text.matchAll(pattern)].map(([, match = ""]) => match);
}
