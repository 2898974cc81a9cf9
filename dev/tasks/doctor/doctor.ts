/** Every check on one subject, and what it found in words. */
import type postgres from "postgres";
import { SIGN_UP } from "./checks/auth.ts";
import { MIGRATIONS } from "./checks/database.ts";
import { APPS, REGIONS, TOKEN } from "./checks/fly.ts";
import { CORS, FUNCTION } from "./checks/function.ts";
import { IMAGE } from "./checks/image.ts";
import { LIDS } from "./checks/lids.ts";
import { SCHEDULE } from "./checks/schedule.ts";
import { SETTINGS } from "./checks/settings.ts";
import { type Check, type Problem, reasonOf, type Subject } from "./check.ts";

/** In the order in which a deployment is made: an early problem explains later ones. */
export const CHECKS: readonly Check[] = [
  SETTINGS,
  LIDS,
  TOKEN,
  APPS,
  REGIONS,
  IMAGE,
  MIGRATIONS,
  SCHEDULE,
  FUNCTION,
  CORS,
  SIGN_UP,
];

/** What no API shows without a change; said each time, so that green is not taken for more than it is. */
export const UNSEEN =
  "Not seen: when the token ends, whether it may only read, what the image does.";

/** What one check found. */
export interface Result {
  check: string;
  problems: readonly Problem[];
  skipped: string | null;
}

/** Runs every check, one after the other. A check that breaks is a problem of its own. */
export async function examine(subject: Subject): Promise<Result[]> {
  const results: Result[] = [];
  const shown = ({ says, fix, ...problem }: Problem): Problem => ({
    says: subject.redact(says),
    fix: subject.redact(fix),
    ...problem,
  });
  for (const { name, run } of CHECKS) {
    try {
      const found = await run(subject);
      results.push(
        "skipped" in found
          ? { check: name, problems: [], skipped: found.skipped }
          : { check: name, problems: found.map(shown), skipped: null },
      );
    } catch (error) {
      const problem = { says: `the check itself failed: ${reasonOf(error)}`, fix: "run it again" };
      results.push({ check: name, problems: [shown(problem)], skipped: null });
    }
  }
  return results;
}

/** A line for each check that is well or was left out, and one for each problem. */
export function report(results: readonly Result[]): string {
  const lines = results.flatMap(({ check, problems, skipped }) =>
    skipped !== null
      ? [`–  ${check}: not looked at: ${skipped}`]
      : problems.length === 0
      ? [`✓  ${check}`]
      : problems.map(({ says, fix }) => `✗  ${check}: ${says}. Fix: ${fix}`)
  );
  const count = results.flatMap(({ problems }) => problems).length;
  return [...lines, "", `${count === 1 ? "1 problem" : `${count} problems`}. ${UNSEEN}`].join("\n");
}

/**
 * Runs each safe repair that the answer allows. Whatever happens is said.
 *
 * @param ask whether to run it; shows the problem and the statement
 */
export async function mend(
  results: readonly Result[],
  sql: postgres.Sql,
  ask: (problem: Problem) => boolean | Promise<boolean>,
  say: (line: string) => void,
): Promise<void> {
  for (const problem of results.flatMap(({ problems }) => problems)) {
    const { repair, fix } = problem;
    if (repair === undefined || !await ask(problem)) continue;
    try {
      await sql.unsafe(repair.sql, [...repair.parameters]);
      say(`done: ${fix}`);
    } catch (error) {
      say(`failed: ${fix}: ${reasonOf(error)}`);
    }
  }
}
