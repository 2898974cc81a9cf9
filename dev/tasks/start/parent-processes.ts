/**
 * The processes between this one and the user's shell: `npx`, `sh`, `deno task`.
 *
 * `npx` ends on SIGTERM without passing it on, and nothing can be passed on by a process that is
 * killed; what they started would serve on unnoticed.
 */

/** One process of the operating system. */
export interface ProcessInfo {
  parent: number;
  /** As `ps` shows it. */
  commandLine: string;
}

/** @returns the process ids, from the parent upwards; empty when a shell is the parent */
export function parentProcesses(
  parent: number,
  lookUp: (pid: number) => ProcessInfo | null = readProcess,
): number[] {
  const found: number[] = [];
  /** Shells since the last one found: npm starts what it runs through `sh -c`. */
  let between: number[] = [];
  for (let pid = parent; pid > 1 && between.length < 2;) {
    const info = lookUp(pid);
    if (info === null) break;
    between.push(pid);
    if (startsOthers(info.commandLine)) {
      found.push(...between);
      between = [];
    } else if (!isShellOfNpm(info.commandLine)) break;
    pid = info.parent;
  }
  return found;
}

/** `deno task …`, `npm exec …` as npx calls itself, and `node …/npx …` before it does. */
function startsOthers(commandLine: string): boolean {
  return /^(\S*\/)?deno task\b/.test(commandLine) || /^npm (exec|run)\b/.test(commandLine) ||
    /^(\S*\/)?node \S*(npx|npm|deno)\S* /.test(commandLine);
}

function isShellOfNpm(commandLine: string): boolean {
  return /^(\S*\/)?(da|ba)?sh -c '?deno\b/.test(commandLine);
}

function readProcess(pid: number): ProcessInfo | null {
  return Deno.build.os === "linux" ? readProc(pid) : askPs(pid);
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function readProc(pid: number): ProcessInfo | null {
  try {
    // The name, in parentheses, may itself hold spaces and parentheses.
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const [, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const commandLine = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
    return { parent: Number(parent), commandLine: commandLine.replaceAll("\0", " ").trim() };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function askPs(pid: number): ProcessInfo | null {
  const { success, stdout } = new Deno.Command("ps", {
    args: ["-o", "ppid=,args=", "-p", String(pid)],
    stderr: "null",
  }).outputSync();
  const [, parent, commandLine] = /^\s*(\d+)\s+(.*)/.exec(new TextDecoder().decode(stdout)) ?? [];
  return success && parent !== undefined && commandLine !== undefined
    ? { parent: Number(parent), commandLine }
    : null;
}
