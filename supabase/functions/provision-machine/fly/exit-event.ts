/**
 * What a machine's events say: why its program ended, and when it last changed. Fly.io publishes no shape of an event's
 * `request`; this is fly-go's (machine_types.go), which leaves fields that are zero out.
 * https://fly.io/docs/machines/api/machines-resource/#list-events
 */
import { z } from "zod/v3";

const Exit = z.object({
  exit_code: z.number().nullish(),
  guest_exit_code: z.number().nullish(),
  /** -1 stands for none. */
  signal: z.number().nullish(),
  guest_signal: z.number().nullish(),
  oom_killed: z.boolean().nullish(),
  requested_stop: z.boolean().nullish(),
  restarting: z.boolean().nullish(),
});
type Exit = z.output<typeof Exit>;

const Event = z.object({
  request: z.object({
    exit_event: Exit.nullish(),
    MonitorEvent: z.object({ exit_event: Exit.nullish() }).nullish(),
  }),
});

/** Up to the latest date that there is. */
const Dated = z.object({ timestamp: z.number().min(0).max(8_640_000_000_000_000) });

/** When the newest of `events`, newest first, happened: ISO 8601; undefined if Fly.io does not say. */
export function lastChangeAt(events: readonly unknown[]): string | undefined {
  const [newest] = events;
  // Milliseconds since the epoch.
  const parsed = Dated.safeParse(newest);
  return parsed.success ? new Date(parsed.data.timestamp).toISOString() : undefined;
}

/** How a program ended. */
export interface ProgramExit {
  /** As an error says it: `exit code 137, out of memory`. */
  description: string;
  outOfMemory: boolean;
  /** Fly.io's API, its proxy or a user asked for it; which of them is not published. */
  requested: boolean;
  /** The restart policy starts it again. */
  restarting: boolean;
  exitCode: number;
  /** The signal that ended it, if one did. */
  signal: number | undefined;
}

/**
 * The newest exit among `events`, newest first; undefined if there is none. Later events, such
 * as that of a destruction, hide it: they say that the machine is gone, and not why.
 */
export function newestExit(events: readonly unknown[]): ProgramExit | undefined {
  for (const event of events) {
    const parsed = Event.safeParse(event);
    const { exit_event, MonitorEvent } = parsed.data?.request ?? {};
    const exit = exit_event ?? MonitorEvent?.exit_event;
    if (exit) return programExit(exit);
  }
  return undefined;
}

function programExit(exit: Exit): ProgramExit {
  const signal = positive(exit.guest_signal) ?? positive(exit.signal);
  const exitCode = positive(exit.guest_exit_code) ?? positive(exit.exit_code) ?? 0;
  const description = [
    // A program that a signal ended has no code of its own.
    ...(signal === undefined || exitCode > 0 ? [`exit code ${exitCode}`] : []),
    ...(signal === undefined ? [] : [`signal ${signal}`]),
    ...(exit.oom_killed ? ["out of memory"] : []),
    ...(exit.requested_stop ? ["stopped on request"] : []),
  ].join(", ");
  return {
    description,
    outOfMemory: exit.oom_killed === true,
    requested: exit.requested_stop === true,
    restarting: exit.restarting === true,
    exitCode,
    signal,
  };
}

function positive(value: number | null | undefined): number | undefined {
  return value !== null && value !== undefined && value > 0 ? value : undefined;
}
