/** Arranges the output of pg_dump for readers: by table and function instead of by kind. */

/** Kinds of entries that belong to a table, in the order in which they are printed under it. */
const TABLE_KINDS = [
  "TABLE",
  "SEQUENCE",
  "COMMENT",
  "CONSTRAINT",
  "FK CONSTRAINT",
  "INDEX",
  "TRIGGER",
  "ROW SECURITY",
  "POLICY",
  "ACL",
  "PUBLICATION TABLE",
];
const VIEW_KINDS = ["VIEW", "COMMENT", "ACL"];
const FUNCTION_KINDS = ["FUNCTION", "PROCEDURE", "COMMENT", "ACL"];
/** Kinds of entries that the platform brings, not the migrations. */
const PLATFORM_KINDS = ["PUBLICATION", "DEFAULT ACL"];

/** One entry of the dump, under a header such as `-- Name: alerts; Type: TABLE; Schema: public`. */
interface Entry {
  kind: string;
  /** The table or function that the entry is part of. */
  object: string;
  sql: string;
}

/**
 * @param dump what `pg_dump --schema-only --no-owner` prints for the schema `public`
 * @returns its statements: tables by name, each with all that belongs to it, then views and functions by name;
 *   without versions, session settings and headers
 * @throws {Error} for a kind of entry that has no place yet
 */
export function arrangeDump(dump: string): string {
  const entries = parseDump(dump);
  const named = (kind: string) =>
    entries.filter((entry) => entry.kind === kind).map(({ object }) => object).sort();
  const section = (object: string, kinds: readonly string[]): string => {
    const blocks = kinds.map((kind) =>
      entries.filter((entry) => entry.object === object && entry.kind === kind)
        .map(({ sql }) => sql).join("\n")
    );
    return `-- ${object} ${"-".repeat(96 - object.length)}\n\n${
      blocks.filter((block) => block !== "").join("\n\n")
    }\n`;
  };
  const tables = named("TABLE");
  const views = named("VIEW");
  refuseStrays(entries, { tables, views });
  return [
    "",
    ...tables.map((table) => section(table, TABLE_KINDS)),
    ...views.map((view) => section(view, VIEW_KINDS)),
    ...[...named("FUNCTION"), ...named("PROCEDURE")].sort()
      .map((name) => section(name, FUNCTION_KINDS)),
  ].join("\n");
}

function parseDump(dump: string): Entry[] {
  const body = dump
    .replace(/\n--\n-- PostgreSQL database dump complete\n--\n[^]*$/, "\n")
    .replaceAll(/^SET default_\w+ = .*;\n/gm, "");
  const [, ...parts] = body.split(/^--\n-- Name: .+; Type: (.+); Schema: .+; Owner: .*\n--\n/m);
  const entries: Entry[] = [];
  /** The table of each identity column's sequence. */
  const tableOf = new Map<string, string>();
  for (let index = 0; index < parts.length; index += 2) {
    const kind = parts[index] ?? "";
    if (PLATFORM_KINDS.includes(kind)) continue;
    const sql = (parts[index + 1] ?? "").trim();
    // The first object that a statement names is the one that it is about.
    const object = /\bpublic\.(\w+)/.exec(sql)?.[1];
    if (object === undefined) throw new Error(`an entry of kind ${kind} names no object: ${sql}`);
    const sequence = /SEQUENCE NAME public\.(\w+)/.exec(sql)?.[1];
    if (sequence !== undefined) tableOf.set(sequence, object);
    entries.push({ kind, object: tableOf.get(object) ?? object, sql: shorten(kind, sql) });
  }
  return entries;
}

function refuseStrays(
  entries: readonly Entry[],
  { tables, views }: { tables: readonly string[]; views: readonly string[] },
): void {
  for (const { kind, object, sql } of entries) {
    const kinds = tables.includes(object)
      ? TABLE_KINDS
      : views.includes(object)
      ? VIEW_KINDS
      : FUNCTION_KINDS;
    if (!kinds.includes(kind)) {
      throw new Error(`dev/tasks/arrange-dump.ts has no place for a ${kind} of ${object}: ${sql}`);
    }
  }
}

function shorten(kind: string, sql: string): string {
  switch (kind) {
    case "FUNCTION":
      return sql.replace(/^.{101,}/, breakSignature);
    case "CONSTRAINT":
    case "FK CONSTRAINT":
      return sql.replace(/^ALTER TABLE ONLY (\S+)\n\s+/, "ALTER TABLE $1 ");
    case "SEQUENCE":
      return sql.replace(
        /IDENTITY \(\s+SEQUENCE NAME \S+\s+START WITH 1\s+INCREMENT BY 1\s+NO MINVALUE\s+NO MAXVALUE\s+CACHE 1\s+\)/,
        "IDENTITY",
      );
    // No function is overloaded, so its name is enough.
    default:
      return sql.replaceAll(
        /^((?:COMMENT|GRANT|REVOKE) .*?ON FUNCTION public\.\w+)\([^)]*\)/gm,
        "$1",
      );
  }
}

/** One parameter per line. */
function breakSignature(line: string): string {
  return line
    .replace("(", "(\n    ")
    .replaceAll(/, (?=(?:OUT )?\w+ [a-z])/g, ",\n    ")
    .replace(/\)( RETURNS .*)$/, "\n)$1");
}
