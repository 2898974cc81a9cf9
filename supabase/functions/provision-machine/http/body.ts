/** Reads a small JSON body and refuses everything else. */
import { withTimeout } from "../time.ts";
import { AppError } from "../errors.ts";
import type { Clock } from "../runtime.ts";

const MAX_BYTES = 16 * 1024;
/** A client that sends its body slowly must not hold the isolate. */
const READ_TIMEOUT_MS = 10_000;

/**
 * The parsed body; `{}` when there is none, as `functions.invoke` without a body sends. Throws
 * {@link AppError} `unsupported_media_type`, `payload_too_large` or `invalid_request`.
 */
export async function readJsonBody(request: Request, clock: Clock): Promise<unknown> {
  const bytes = await readBytes(request, clock);
  if (bytes.length === 0) return {};

  const mediaType = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (mediaType !== "application/json") {
    throw new AppError("unsupported_media_type", "The body must be JSON", {
      headers: { accept: "application/json" },
    });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalid("The body is not valid JSON in UTF-8", cause);
  }
}

async function readBytes(request: Request, clock: Clock): Promise<Uint8Array> {
  // An announced length is refused before anything is read.
  if (Number(request.headers.get("content-length")) > MAX_BYTES) throw tooLarge();
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    await withTimeout(clock, READ_TIMEOUT_MS, async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        length += part.value.length;
        if (length > MAX_BYTES) throw tooLarge();
        chunks.push(part.value);
      }
    });
  } catch (error) {
    // The caller may be gone already; the error below is what counts.
    reader.cancel(error).catch(() => {});
    if (error instanceof AppError) throw error;
    throw invalid("The body did not arrive", error);
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

function invalid(error: string, cause: unknown): AppError {
  return new AppError("invalid_request", error, {
    fields: { issues: [{ path: "", message: error }] },
    cause,
  });
}

function tooLarge(): AppError {
  return new AppError("payload_too_large", `The body is larger than ${MAX_BYTES} bytes`, {
    hint: "A request to provision a machine needs less than 200 bytes",
  });
}
