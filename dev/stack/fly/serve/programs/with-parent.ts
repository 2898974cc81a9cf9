/**
 * Runs the program named in the first argument and ends when standard input does: however the
 * simulator ends, a Machine's process does not outlive it.
 */
const [entry = ""] = Deno.args;

async function endWithParent(): Promise<never> {
  for await (const _ of Deno.stdin.readable);
  Deno.exit(1);
}

endWithParent();
await import(entry);
