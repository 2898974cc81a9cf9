/** Dispatches `beforeunload`, as the platform does, when the process is sent SIGUSR1. */
Deno.addSignalListener("SIGUSR1", () => {
  dispatchEvent(new CustomEvent("beforeunload", { detail: { reason: "wall_clock" } }));
});
