/** Runs the command: the stack, the first machine, and then, unless `--once`, a server. */
import type { ServedConsole } from "../../../console/serve.ts";
import { callFunction, FUNCTION_NAME, isSuccess } from "./call-function.ts";
import { type DemoUser, longLivedToken, oldMachines, signUpOrIn } from "./demo-users.ts";
import type { Variables } from "./environment.ts";
import { type FirstMachine, provisionFirstMachine } from "./first-machine.ts";
import { compact, paintForStdout } from "./log-lines.ts";
import type { Options } from "./options.ts";
import { startReconcileTimer } from "./reconcile-timer.ts";
import { describeFirstMachine, describeStack } from "./report.ts";
import { type LocalStack, startLocalStack } from "./stack.ts";
import type { Terminal } from "./terminal.ts";

const DEMO_EMAIL = "demo@example.com";
/** Has no machine yet when the command is pasted, so that the limit of one is not in the way. */
const CURL_EMAIL = "second@example.com";
const RECONCILE_INTERVAL_MS = 60_000;
/** Between the processes of one group. */
const SIGNALS_ARRIVE_WITHIN_MS = 500;

/**
 * @param shell the developer's environment
 * @param signal ends it
 * @returns the exit code: 0 when the first machine runs, or when served until the end; 1 otherwise
 * @throws Error with what could not be started
 */
export async function runDevCommand(
  { once, port }: Options,
  shell: Variables,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  // The developer who names a format wants the lines as they are.
  const raw = (shell.LOG_FORMAT?.trim() ?? "") !== "";
  await using stack = await startLocalStack({
    port,
    watch: !once,
    shell,
    signal,
    onProgress: (step) => terminal.step(step),
    onLine: (_stream, line) => terminal.say(raw ? line : compact(line, paintForStdout)),
  });
  terminal.step("ready");
  const demoUser = await signUpOrIn(stack.supabase, DEMO_EMAIL);
  const firstMachine = await showFirstMachine(demoUser, terminal, signal);
  if (once) return firstMachine.runs ? 0 : 1;
  return await serve(stack, demoUser, firstMachine, terminal, signal);
}

async function showFirstMachine(
  user: DemoUser,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<FirstMachine> {
  await destroyOldMachines(user, terminal, signal);
  terminal.say(`\nProvisioning a machine for ${user.email}; log lines of the function:`);
  const machine = await provisionFirstMachine(user, signal);
  signal.throwIfAborted();
  terminal.say(describeFirstMachine(machine, paintForStdout));
  return machine;
}

/** @returns 0 once the signal ends it, 1 when the function's process ends on its own */
async function serve(
  stack: LocalStack,
  demoUser: DemoUser,
  { runs, machineId }: FirstMachine,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<number> {
  const { supabase, fn } = stack;
  terminal.step("the console");
  // Built when it is served, so that its bundler costs the first machine nothing.
  await using parts = new AsyncDisposableStack();
  const page = parts.adopt(await startConsole(stack), (started) => started.close());
  const curlUser = await signUpOrIn(supabase, CURL_EMAIL);
  await destroyOldMachines(curlUser, terminal, signal);
  const curlToken = await longLivedToken(supabase, curlUser);
  signal.throwIfAborted();
  terminal.say(describeStack({
    stack,
    consoleUrl: page.url,
    users: [demoUser, curlUser],
    curlUser,
    curlToken,
    connectable: runs && machineId !== null
      ? {
        machineId,
        email: demoUser.email,
        token: await longLivedToken(supabase, demoUser),
      }
      : null,
    reconcileIntervalMs: RECONCILE_INTERVAL_MS,
  }, paintForStdout));
  const stopTimer = startReconcileTimer({
    functionUrl: `${supabase.url}/functions/v1/${FUNCTION_NAME}`,
    secretKey: supabase.secretKey,
    intervalMs: RECONCILE_INTERVAL_MS,
    onFailure: (sentence) => terminal.fail(sentence),
  });
  try {
    const ended = await Promise.race([aborted(signal), fn.status]);
    // Ctrl-C reaches the function's process as well, and may do so first.
    if (ended === "aborted" || await soon(signal)) return 0;
    terminal.fail(`The function's process ended on its own, with code ${ended.code}.`);
    return 1;
  } finally {
    stopTimer();
  }
}

async function startConsole(
  { supabase, simulator, machinesPerUser }: LocalStack,
): Promise<ServedConsole> {
  const { serveConsole } = await import("../../../console/serve.ts");
  const { url: supabaseUrl, publishableKey } = supabase;
  const machineOrigins = simulator && [new URL(simulator.proxy.websocketUrlTemplate).origin];
  return await serveConsole({
    config: {
      supabaseUrl,
      publishableKey,
      ...(machineOrigins && { machineOrigins }),
      ...(machinesPerUser && { machinesPerUser }),
    },
    watch: true,
  });
}

/** Reports a machine that cannot be destroyed; what fails because of it is reported as well. */
async function destroyOldMachines(
  user: DemoUser,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  for (const machineId of await oldMachines(user)) {
    terminal.step(`destroying ${machineId}, which ${user.email} has from a run before`);
    const { status, answer } = await callFunction(user.client, {
      method: "DELETE",
      path: `/${machineId}`,
      signal,
    });
    if (isSuccess(status)) continue;
    terminal.fail(`${machineId} is still there: HTTP ${status} ${JSON.stringify(answer)}`);
  }
}

function aborted(signal: AbortSignal): Promise<"aborted"> {
  const { promise, resolve } = Promise.withResolvers<"aborted">();
  if (signal.aborted) resolve("aborted");
  signal.addEventListener("abort", () => resolve("aborted"), { once: true });
  return promise;
}

/** Whether the signal is aborted, now or a moment later. */
async function soon(signal: AbortSignal): Promise<boolean> {
  const moment = Promise.withResolvers<void>();
  const timer = setTimeout(moment.resolve, SIGNALS_ARRIVE_WITHIN_MS);
  await Promise.race([aborted(signal), moment.promise]);
  clearTimeout(timer);
  return signal.aborted;
}
