/** A month's usage for people and for programs. */

export interface UserUsage {
  userId: string;
  machines: number;
  runningSeconds: number;
  stoppedSeconds: number;
}

/** One line per user, the longest first, and their sum. */
export function formatTable(usage: readonly UserUsage[], month: string): string {
  const sum = usage.reduce((all, user) => ({
    userId: "all",
    machines: all.machines + user.machines,
    runningSeconds: all.runningSeconds + user.runningSeconds,
    stoppedSeconds: all.stoppedSeconds + user.stoppedSeconds,
  }), { userId: "all", machines: 0, runningSeconds: 0, stoppedSeconds: 0 });
  const line = (cells: string[]) =>
    [cells[0]?.padEnd(36), ...cells.slice(1).map((cell) => cell.padStart(14))].join("  ");
  const row = ({ userId, machines, runningSeconds, stoppedSeconds }: UserUsage) =>
    line([userId, String(machines), hours(runningSeconds), hours(stoppedSeconds)]);
  return [
    `Usage in ${month} (UTC)`,
    "",
    line(["user", "machines", "running", "stopped"]),
    ...usage.map(row),
    row(sum),
  ].join("\n");
}

/** With a header; seconds, to the thousandth. */
export function formatCsv(usage: readonly UserUsage[], month: string): string {
  return [
    "month,user_id,machines,running_seconds,stopped_seconds",
    ...usage.map(({ userId, machines, runningSeconds, stoppedSeconds }) =>
      [month, userId, machines, runningSeconds.toFixed(3), stoppedSeconds.toFixed(3)].join(",")
    ),
  ].join("\n");
}

function hours(seconds: number): string {
  return `${(seconds / 3_600).toFixed(2)} h`;
}
