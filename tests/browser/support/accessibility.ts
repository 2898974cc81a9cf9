/** Checks a page for people with low vision, no vision, or a small screen. */
import axe from "axe-core";
import type { Page } from "playwright-core";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** What axe-core finds wrong, and whether the page is wider than the screen. */
export async function problemsOf(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const violations = await page.evaluate(async (rules) => {
    // deno-lint-ignore no-explicit-any -- this runs in the browser, whose types are not here
    const { axe, document } = globalThis as any;
    const { violations, passes } = await axe.run(document, {
      runOnly: { type: "tag", values: rules },
    });
    if (passes.length < 10) throw new Error("axe checked almost nothing");
    // deno-lint-ignore no-explicit-any -- as above
    return violations.flatMap(({ id, nodes }: any) =>
      // deno-lint-ignore no-explicit-any -- as above
      nodes.map(({ target, failureSummary }: any) => `${id} ${target}: ${failureSummary}`)
    ) as string[];
  }, RULES);
  const overflow = await page.evaluate(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
  return overflow ? [...violations, `${overflow} pixels wider than the screen`] : violations;
}
