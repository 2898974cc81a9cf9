/** Calls reconcile again and again, as a scheduled job does for a hosted project. */

export interface ReconcileTimerOptions {
  /** The function's address. */
  functionUrl: string;
  secretKey: string;
  intervalMs: number;
  /** Called with one sentence about a run that was not answered 200. */
  onFailure: (sentence: string) => void;
}

/**
 * The next run begins an interval after the one before has ended.
 *
 * @returns stops it, a run under way included
 */
export function startReconcileTimer(options: ReconcileTimerOptions): () => void {
  const { functionUrl, secretKey, intervalMs, onFailure } = options;
  const stopped = new AbortController();
  let timer: ReturnType<typeof setTimeout>;
  const schedule = () => {
    timer = setTimeout(async () => {
      const failure = await reconcile(functionUrl, secretKey, stopped.signal);
      if (stopped.signal.aborted) return;
      if (failure !== null) onFailure(failure);
      schedule();
    }, intervalMs);
  };
  schedule();
  return () => {
    clearTimeout(timer);
    stopped.abort();
  };
}

/** @returns what went wrong, or `null` */
async function reconcile(
  functionUrl: string,
  secretKey: string,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const response = await fetch(`${functionUrl}/reconcile`, {
      method: "POST",
      headers: { apikey: secretKey },
      signal,
    });
    const text = await response.text();
    return response.ok ? null : `Reconcile was answered HTTP ${response.status}: ${text}`;
  } catch (error) {
    return `Reconcile got no answer: ${error instanceof Error ? error.message : String(error)}`;
  }
}
