/** What the tests of the operator's page do and look at. */
import type { Page } from "playwright-core";
import type { ConsoleStack } from "./console-stack.ts";

/** Opens the page and enters the key. */
export async function openDashboard(system: ConsoleStack, key: string): Promise<Page> {
  const { page } = await system.open(undefined, "#operator");
  await page.getByLabel("Service key").fill(key);
  await page.getByRole("button", { name: "Show" }).click();
  return page;
}

/** The colour of the first element's text. */
export function colourOf(page: Page, selector: string): Promise<string> {
  return page.locator(selector).first().evaluate((element) =>
    // deno-lint-ignore no-explicit-any -- this runs in the browser, whose types are not here
    (globalThis as any).getComputedStyle(element).color as string
  );
}

/** The table behind a chart, row by row. */
export async function table(page: Page, figure: string): Promise<string[][]> {
  const details = page.locator(`#${figure} details`);
  await details.locator("summary").click();
  const rows = await details.locator("tbody tr").all();
  return await Promise.all(rows.map((row) => row.locator("th, td").allInnerTexts()));
}

/** How many pixels of a chart are not empty. */
export function inkOf(page: Page, figure: string): Promise<number> {
  return page.locator(`#${figure} canvas`).evaluate((canvas) => {
    // deno-lint-ignore no-explicit-any -- this runs in the browser, whose types are not here
    const { width, height, getContext } = canvas as any;
    const { data } = getContext.call(canvas, "2d").getImageData(0, 0, width, height);
    return data.filter((value: number, index: number) => index % 4 === 3 && value > 0).length;
  });
}
