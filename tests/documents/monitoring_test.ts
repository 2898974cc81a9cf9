/** The metrics, log lines and fields in monitoring/ and docs/OPERATIONS.md exist and are valid. */
import assert from "node:assert/strict";
import { z } from "zod";
import { scrape } from "../support/exposition.ts";
import { promtool, promtoolTest } from "../support/promtool.ts";
import { startStack } from "../support/stack.ts";
import { codeBlocks, codeIn, readDocument, sectionsOf, tableRows } from "./markdown.ts";

const DIRECTORY = new URL("../../monitoring/", import.meta.url);
const read = (name: string) => Deno.readTextFile(new URL(name, DIRECTORY));
const pathOf = (name: string) => new URL(name, DIRECTORY).pathname;

const Dashboard = z.looseObject({
  title: z.string(),
  uid: z.string(),
  schemaVersion: z.number().int().min(36),
  templating: z.object({ list: z.array(z.looseObject({ name: z.string(), type: z.string() })) }),
  panels: z.array(z.looseObject({
    id: z.number().int().positive(),
    type: z.enum(["stat", "timeseries", "heatmap"]),
    title: z.string().min(1),
    datasource: z.object({ type: z.literal("prometheus"), uid: z.literal("${datasource}") }),
    gridPos: z.object({
      x: z.number().int().min(0).max(23),
      y: z.number().int().min(0),
      w: z.number().int().min(1).max(24),
      h: z.number().int().min(1),
    }),
    targets: z.array(z.looseObject({ refId: z.string(), expr: z.string().min(1) })).min(1),
  })).min(1),
});

/** The metrics that an expression reads, as families: a histogram's parts are one. */
function metricsOf(expression: string): string[] {
  return [...expression.matchAll(/provision_machine_\w+/g)].map(([name]) =>
    name.replace(/_(bucket|sum|count)$/, "")
  );
}

promtoolTest("promtool takes the scrape configuration and the alert rules", async () => {
  const config = await promtool(["check", "config", "--syntax-only", pathOf("prometheus.yml")]);
  assert.ok(config.success, config.output);
  const rules = await promtool(["check", "rules", pathOf("alert-rules.yml")]);
  assert.ok(rules.success, rules.output);
});

promtoolTest("the alerts fire when they should and not otherwise", async () => {
  const tested = await promtool(["test", "rules", pathOf("alert-rules.test.yml")]);
  assert.ok(tested.success, tested.output);

  const [rules, tests] = [await read("alert-rules.yml"), await read("alert-rules.test.yml")];
  const alerts = [...rules.matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  assert.ok(alerts.length > 0);
  for (const alert of alerts) {
    assert.match(tests, new RegExp(`alertname: ${alert} }`), `${alert} is never seen silent`);
    assert.match(
      tests,
      new RegExp(`alertname: ${alert}\\n +exp_alerts:`),
      `${alert} is never seen firing`,
    );
  }
});

Deno.test("every alert links its entry in the runbook", async () => {
  const rules = (await read("alert-rules.yml")).split(/^ +- alert: /m).slice(1);
  const runbook = await readDocument("docs/RUNBOOK.md");
  const anchors = sectionsOf(runbook).map(({ heading }) =>
    heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")
  );
  for (const rule of rules) {
    const name = /^\w+/.exec(rule)?.[0] ?? "";
    const [, path, anchor = ""] =
      /runbook_url: "\{\{ \$externalLabels\.repository \}\}\/([^#"]+)#([^"]+)"/.exec(rule) ?? [];
    assert.equal(path, "docs/RUNBOOK.md", `${name} has no runbook_url`);
    assert.ok(anchors.includes(anchor), `${name}: the runbook has no section #${anchor}`);
    const inTable = tableRows(runbook).some(([symptom = ""]) => codeIn(symptom) === name);
    assert.ok(inTable, `the runbook's table of symptoms lacks ${name}`);
  }
});

promtoolTest("a rule that is broken does not pass its test", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const rules = await read("alert-rules.yml");
    const broken = rules.replace("oldest_cleanup_seconds > 900", "oldest_cleanup_seconds > 90000");
    assert.notEqual(broken, rules);
    await Deno.writeTextFile(`${directory}/alert-rules.yml`, broken);
    await Deno.copyFile(pathOf("alert-rules.test.yml"), `${directory}/alert-rules.test.yml`);
    const { success, output } = await promtool([
      "test",
      "rules",
      `${directory}/alert-rules.test.yml`,
    ]);
    assert.equal(success, false);
    assert.match(output, /ProvisionMachineCleanUpStuck/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

promtoolTest("each query of the dashboard is one that Prometheus takes", async () => {
  const { panels } = Dashboard.parse(JSON.parse(await read("grafana-dashboard.json")));
  const expressions = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  // The variables that Grafana fills in. https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/
  const rules = expressions.map((expression, index) => ({
    record: `query:${index}`,
    expr: expression.replaceAll("$__rate_interval", "5m").replaceAll("$__range", "6h"),
  }));
  const file = await Deno.makeTempFile({ suffix: ".yml" });
  try {
    // YAML is a superset of JSON.
    await Deno.writeTextFile(file, JSON.stringify({ groups: [{ name: "dashboard", rules }] }));
    const { success, output } = await promtool(["check", "rules", file]);
    assert.ok(success, output);
    assert.match(output, new RegExp(`${rules.length} rules found`));
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("the dashboard's panels have places and ids of their own", async () => {
  const { panels, templating } = Dashboard.parse(JSON.parse(await read("grafana-dashboard.json")));
  assert.deepEqual(templating.list.map(({ name, type }) => [name, type]), [
    ["datasource", "datasource"],
  ]);
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const [index, { title, gridPos: a }] of panels.entries()) {
    assert.ok(a.x + a.w <= 24, `${title} is wider than the dashboard`);
    for (const { title: other, gridPos: b } of panels.slice(index + 1)) {
      const apart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
      assert.ok(apart, `${title} and ${other} overlap`);
    }
  }
});

Deno.test("rules, dashboard, log queries and documents name what the function really emits", async (t) => {
  await using stack = await startStack();
  const success = await stack.call(await stack.supabase.createUser(), { body: {} });
  stack.simulator.addFault({
    match: { action: "create" },
    do: { kind: "status", status: 422, body: { error: "no such image" } },
  });
  const failure = await stack.call(await stack.supabase.createUser(), { body: {} });
  assert.deepEqual([success.status, failure.status], [200, 500]);
  await stack.reconcile();
  const { text } = await scrape(stack);
  const operations = await readDocument("docs/OPERATIONS.md");
  const families = [...text.matchAll(/^# TYPE (\w+) /gm)].map(([, name]) => name);

  await t.step("every metric that is queried exists, and none is left out", async () => {
    const rules = await read("alert-rules.yml");
    const asked = metricsOf(rules);
    const { panels } = Dashboard.parse(JSON.parse(await read("grafana-dashboard.json")));
    const shown = panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => metricsOf(expr)));
    for (const name of [...asked, ...shown]) assert.ok(families.includes(name), name);
    assert.deepEqual(families.filter((name) => !shown.includes(name ?? "")), []);
  });

  await t.step("docs/OPERATIONS.md lists every metric", () => {
    const section = sectionsOf(operations).find(({ heading }) => heading === "Metrics")?.text ?? "";
    const listed = tableRows(section).slice(1).map(([name = ""]) =>
      `provision_machine_${codeIn(name)}`
    );
    assert.deepEqual(listed.sort(), families.sort());
  });

  await t.step("docs/OPERATIONS.md lists every kind of health check", async () => {
    const section = sectionsOf(operations).find(({ heading }) => heading === "Health")?.text ?? "";
    const listed = tableRows(section).slice(1).map(([name = ""]) => codeIn(name));
    const { body } = await stack.callAsService({ method: "GET", path: "/health" });
    await using ownApps = await stack.start({ FLY_ORG_SLUG: "personal", POOL_SIZE: "1" });
    const headers = { apikey: stack.supabase.secretKey };
    const other = await ownApps.call(null, { method: "GET", path: "/health", headers });
    const kinds = new Set(
      [...Object.keys(body.checks), ...Object.keys(other.body.checks)].map((name) =>
        name.replace(/^environment:.+/, "environment:<VARIABLE>").replace(
          /^fly:(?!isolation|organization).+/,
          "fly:<app>",
        )
      ),
    );
    assert.deepEqual(listed.sort(), [...kinds].sort());
  });

  await t.step("docs/OPERATIONS.md shows the events of a success", async () => {
    const [shown = ""] = codeBlocks(operations, "text");
    const messages = (await stack.log(success)).map(({ message }) => message);
    const generic = (line: string) =>
      line.replace(/\b(my|test)-app\b/g, "<app>").replace(/(successfully: ).+/, "$1<id>");
    assert.deepEqual(messages.map(generic), shown.trimEnd().split("\n").map(generic));
  });

  await t.step("the labels that they select by exist", () => {
    for (const label of ['outcome="running"', 'outcome="error"', 'status="running"', 'le="+Inf"']) {
      assert.ok(text.includes(label), label);
    }
    for (const action of ["failed", "interrupted", "lost", "crashed"]) {
      assert.ok(text.includes(`reconcile_actions_total{action="${action}"}`), action);
    }
  });

  await t.step("every field that the log queries read is in the log", async () => {
    const events = (await stack.log(failure)).concat(await stack.log(success));
    const printed = events.map(({ text }) => text);
    for (const file of ["logs-explorer.sql", "logs-explorer-bigquery.sql"]) {
      const sql = await read(file);
      const queries = sql.split(";").map((query) => query.replace(/^--.*$/gm, "").trim())
        .filter((query) => query !== "");
      assert.ok(queries.length > 2);
      for (const query of queries) {
        assert.match(query, /\nlimit \d+$/, query);
        if (file === "logs-explorer.sql") assert.match(query, /where source = 'function_logs'/);
        const fields = [
          ...query.matchAll(/JSONExtract\w+\(event_message, '(\w+)'(?:, '(\w+)')?\)/g),
          ...query.matchAll(/json_value\(event_message, '\$\.(\w+)'\)/g),
        ].map(([, ...names]) => names.filter((name) => name !== undefined).at(-1));
        for (const field of fields) {
          // None of these creates has to wait for its slot.
          if (field === "slot") continue;
          assert.ok(printed.some((line) => line.includes(`"${field}":`)), `${field} in ${file}`);
        }
        for (const [, text = ""] of query.matchAll(/like '%"(provision-machine [^%]*)%'/g)) {
          assert.ok(printed.some((line) => line.includes(`"message":"${text}`)), text);
        }
      }
    }
  });
});
