/** Every link between the documents leads to a file, and to a heading in it. */
import assert from "node:assert/strict";
import { readDocument, sectionsOf } from "./markdown.ts";

const ROOT = new URL("../../", import.meta.url);
const FOLDERS = ["", "docs/", "console/", "tests/model/", "dev/stack/fly/"];

Deno.test("every link in the documents leads somewhere", async () => {
  const broken: string[] = [];
  for (const folder of FOLDERS) {
    for await (const { name } of Deno.readDir(new URL(folder, ROOT))) {
      if (!name.endsWith(".md")) continue;
      const text = (await readDocument(folder + name)).replaceAll(/^```[\s\S]+?^```$/gm, "");
      for (const [, link = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
        if (!/^\w+:/.test(link) && !await leadsSomewhere(link, folder + name)) {
          broken.push(`${folder}${name}: ${link} leads nowhere`);
        }
      }
    }
  }
  assert.ok(broken.length === 0, broken.join("\n"));
});

async function leadsSomewhere(link: string, from: string): Promise<boolean> {
  const [path = "", anchor] = link.split("#");
  const target = path === ""
    ? from
    : new URL(path, new URL(from, ROOT)).href.slice(ROOT.href.length);
  try {
    const { isFile } = await Deno.stat(new URL(target, ROOT));
    if (anchor === undefined) return true;
    return isFile &&
      sectionsOf(await readDocument(target)).some(({ heading }) => slug(heading) === anchor);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The anchor that GitHub gives a heading. */
function slug(heading: string): string {
  return heading.toLowerCase().replaceAll(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(/\s/g, "-");
}
