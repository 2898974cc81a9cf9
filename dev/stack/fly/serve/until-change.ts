/** Waits for a Machine's next state without waking in between. */
import type { Clock } from "../../clock.ts";
import type { Machine } from "../world/machine.ts";

/**
 * Resolves at the Machine's next scheduled transition, at a change of its plan, or when `ended` is
 * aborted, whichever is first.
 */
export async function untilChange(
  clock: Clock,
  machine: Machine,
  ended: AbortSignal,
): Promise<void> {
  const changed = new AbortController();
  const forget = machine.onChange(() => changed.abort());
  const either = AbortSignal.any([changed.signal, ended]);
  const now = clock.now();
  const [next] = machine.scheduled(now);
  try {
    if (either.aborted) return;
    if (next === undefined) {
      await new Promise((resolve) => either.addEventListener("abort", resolve, { once: true }));
    } else {
      await clock.sleep(next.at - now, either);
    }
  } catch (error) {
    if (!either.aborted) throw error;
  } finally {
    forget();
  }
}
