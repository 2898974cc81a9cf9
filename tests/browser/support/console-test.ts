/** Tests of the console: one system for all steps of a file, each with its own tabs. */
import { ConsoleStack, type ConsoleStackOptions } from "./console-stack.ts";
import { findChromium, NO_CHROMIUM } from "./chromium.ts";

type Step = (system: ConsoleStack) => Promise<void>;

/** What happens to tests that need a browser where there is none. */
export function withoutChromium(env: Record<string, string>): "fail" | "ignore" {
  // Every CI service sets CI. There, a skipped test must not look like one that passed.
  return env["CI"] && env["CI"] !== "false" ? "fail" : "ignore";
}

/** Registers a test whose steps run in order on one system. */
export async function consoleTest(
  name: string,
  options: ConsoleStackOptions,
  steps: Record<string, Step>,
): Promise<void> {
  const env = Deno.env.toObject();
  const ignore = await findChromium(env) === null && withoutChromium(env) === "ignore";
  if (ignore) await Deno.stderr.write(new TextEncoder().encode(`${name}: ${NO_CHROMIUM}\n`));
  Deno.test({
    name,
    ignore,
    async fn(test) {
      await using system = await ConsoleStack.start(options);
      for (const [step, run] of Object.entries(steps)) {
        await test.step(step, async () => {
          const errors: unknown[] = [];
          try {
            await run(system);
          } catch (cause) {
            const pictures = await system.takePictures();
            const shown = pictures.join(", ");
            errors.push(new Error(`${step}\nWhat the tabs showed: ${shown}`, { cause }));
          }
          // A failure to clean up must not hide that of the step.
          await system.reset().catch((error: unknown) => errors.push(error));
          if (errors.length > 1) throw new AggregateError(errors);
          for (const error of errors) throw error;
        });
      }
    },
  });
}
