/** The client's connection in Chromium, to the example machine, over a network that breaks. */
import assert from "node:assert/strict";
import { bundleForBrowsers } from "../../dev/bundle.ts";
import { seededRandom } from "../../dev/stack/fly/mod.ts";
import { until } from "../support/until.ts";
import { BreakableNetwork } from "./support/breakable-network.ts";
import { serveScript } from "./support/serve-script.ts";
import { consoleTest } from "./support/console-test.ts";

const SEED = 20261129;
const ROUNDS = 25;
/** Of one page at once, each its own conversation. */
const CONNECTIONS = 4;

/** What the page knows of one connection. */
interface Report {
  sent: number;
  acknowledged: number;
  received: string[];
  opened: number;
  lost: number;
  /** How long the client chose to wait before an attempt. */
  waits: number[];
  /** How long it took from the end of one socket until the next one could be used. */
  gaps: number[];
}

/** Sends a line every now and then over each connection, until it is told to stop. */
const PAGE = `
  import { createProvisionMachineClient } from "./page.js";
  const { supabaseUrl, publishableKey, token, machineId, connections } = globalThis.given;
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  globalThis.reports = Array.from({ length: connections }, () => {
    const report = { sent: 0, acknowledged: 0, received: [], opened: 0, lost: 0, waits: [], gaps: [] };
    const machines = createProvisionMachineClient({
      supabaseUrl,
      publishableKey,
      getAccessToken: async () => token,
      wait: (ms) => (report.waits.push(ms), pause(ms)),
    });
    let since = performance.now();
    const connection = machines.connect(machineId, {
      onMessage: (text) => report.received.push(text),
      onLost: () => report.lost++,
      onState: (state) => {
        if (state === "open") {
          report.opened++;
          report.gaps.push(performance.now() - since);
        }
        since = performance.now();
      },
    });
    setInterval(() => {
      if (globalThis.silent) return;
      connection.send("line " + report.sent++).then(() => report.acknowledged++);
    }, 25);
    return report;
  });
`;

await consoleTest("a lasting connection", {}, {
  "of 100 that are cut each is back, and no line is lost or doubled": async (system) => {
    const { stack } = system;
    const random = seededRandom(SEED);
    await using network = await BreakableNetwork.to(system.proxy.port);
    const scripts = await bundleForBrowsers([
      new URL("../../client/src/mod.ts", import.meta.url),
    ]);
    await using site = serveScript(scripts.get("mod.js"));
    const template = system.proxy.websocketUrlTemplate;
    await system.restart({
      WEBSOCKET_URL_TEMPLATE: template.replace(`:${system.proxy.port}/`, `:${network.port}/`),
    });
    const user = await stack.supabase.createUser();
    const { status, body } = await stack.call(user);
    assert.equal(status, 200);
    const page = await (await system.newContext()).newPage();
    await page.goto(site.url);
    const given = {
      supabaseUrl: stack.supabase.url,
      publishableKey: stack.supabase.publishableKey,
      token: user.accessToken,
      machineId: body.machineId,
      connections: CONNECTIONS,
    };
    await page.evaluate((given) => Object.assign(globalThis, { given }), given);
    await page.addScriptTag({ type: "module", content: PAGE });
    /** One number of each connection: all that was received is too much to ask for all the time. */
    const ask = (what: string) =>
      page.evaluate<number[]>(`(globalThis.reports ?? []).map((report) => ${what})`);

    let cut = 0;
    for (let round = 0; round <= ROUNDS; round++) {
      await until("every connection is open, once more", async () => {
        const opened = await ask("report.opened");
        return opened.length === CONNECTIONS && opened.every((times) => times === round + 1);
      });
      if (round === ROUNDS) break;
      await page.waitForTimeout(random() * 30);
      // What the machine has done, but the client cannot know.
      if (random() < 0.5) network.deafen();
      await page.waitForTimeout(random() * 15);
      cut += network.cut();
    }
    assert.equal(cut, ROUNDS * CONNECTIONS, `seed ${SEED}`);
    await page.evaluate("globalThis.silent = true");
    await until(
      "everything is acknowledged",
      async () => (await ask("report.sent - report.acknowledged")).every((left) => left === 0),
    );
    const ended = await page.evaluate<Report[]>("globalThis.reports");
    for (const { sent, received, lost, waits } of ended) {
      assert.ok(sent > ROUNDS, `${sent} lines`);
      assert.deepEqual(received, Array.from({ length: sent }, (_, line) => `line ${line}`));
      assert.equal(lost, 0);
      // One attempt for each cut, and soon enough to be back within two seconds.
      assert.equal(waits.length, ROUNDS);
      assert.ok(waits.every((ms) => ms <= 250), waits.join());
    }
    const lines = ended.reduce((sum, { sent }) => sum + sent, 0);
    const slowest = Math.max(...ended.flatMap(({ gaps }) => gaps.slice(1)));
    const text = `${cut} cut, ${lines} lines, the slowest was back after ${
      Math.round(slowest)
    } ms\n`;
    await Deno.stderr.write(new TextEncoder().encode(text));
  },
});
