/** Judges a batch of lives: every way in which the function broke an invariant. */
import { unloggedFailures } from "../invariants/log.ts";
import { leaks, type SecretFinder } from "../invariants/secrets.ts";
import { answerViolations } from "./judge-answers.ts";
import { callViolations } from "./judge-calls.ts";
import { decisionViolations } from "./judge-decisions.ts";
import { endViolations } from "./judge-end.ts";
import { ledgerViolations } from "./judge-ledger.ts";
import { silentFailures } from "./judge-log.ts";
import { overdueMistakes, rowViolations } from "./judge-rows.ts";
import type { Observation, Violation } from "./observation.ts";
import { Truth } from "./truth.ts";

export function violations(seen: Observation, secrets: SecretFinder): Violation[] {
  const truth = new Truth(seen);
  const overdue = overdueMistakes(truth);
  const answers = seen.requests.map(({ answer }) => typeof answer === "object" ? answer : null);
  return [
    ...rowViolations(truth, overdue),
    ...decisionViolations(truth),
    ...answerViolations(truth, overdue),
    ...callViolations(truth),
    ...silentFailures(truth),
    ...endViolations(truth),
    ...ledgerViolations(truth),
    ...[
      ...unloggedFailures(answers, seen.lines.map(({ line }) => line)),
      ...leaks(secrets, [
        ["a log line", seen.lines.map(({ line }) => line).join("\n")],
        ["the database", seen.databaseText],
        [
          "an answer",
          answers.map((answer) => answer && `${answer.text} ${JSON.stringify([...answer.headers])}`)
            .join("\n"),
        ],
      ]),
    ].map((text) => ({ life: null, text })),
  ];
}
