/** Reads the project's documents: their sections, tables and examples. */

const ROOT = new URL("../../", import.meta.url);

/** The text of a document; `path` counts from the project's root. */
export function readDocument(path: string): Promise<string> {
  return Deno.readTextFile(new URL(path, ROOT));
}

/** The sections of a document, whatever their level: the heading's text and what follows it. */
export function sectionsOf(markdown: string): { heading: string; text: string }[] {
  return withoutCode(markdown, "#").split(/^(?=#{1,6} )/m).flatMap((part) => {
    const heading = /^#{1,6} (.+)$/m.exec(part)?.[1];
    return heading === undefined ? [] : [{ heading, text: part.replaceAll(MASKED, "#") }];
  });
}

/** The rows of every table, as the trimmed texts of their cells. */
export function tableRows(markdown: string): string[][] {
  return markdown.split("\n").filter((line) => line.startsWith("|") && !/^\|[-\s|]+\|$/.test(line))
    .map((line) => line.slice(1, line.lastIndexOf("|")).split("|").map((cell) => cell.trim()));
}

/** The contents of the code blocks in this language. */
export function codeBlocks(markdown: string, language: string): string[] {
  const block = new RegExp(`^\`\`\`${language}\\n([\\s\\S]+?)^\`\`\`$`, "gm");
  return [...markdown.matchAll(block)].map(([, code = ""]) => code);
}

/** A paragraph or list item as one line, however it was wrapped. */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim();
}

/** The text between backticks if the cell is nothing but that. */
export function codeIn(cell: string): string | undefined {
  return /^`([^`]+)`$/.exec(cell)?.[1];
}

const MASKED = "\u0000";

/** Masks a character inside code blocks, where it means something else. */
function withoutCode(markdown: string, character: string): string {
  return markdown.replaceAll(
    /^```[\s\S]+?^```$/gm,
    (block) => block.replaceAll(character, MASKED),
  );
}
