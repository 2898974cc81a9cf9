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
  const announced = request.headers.get("content-length");
  if (Number(announced) > MAX_BYTES) throw tooLarge();
  try {
    return await withTimeout(
      clock,
      READ_TIMEOUT_MS,
      // All at once costs 0.2 ms less CPU; the server hands on no more than was announced.
      (signal) => announced === null ? readStream(request, signal) : readAll(request),
    );
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw invalid("The body did not arrive", error);
  }
}

async function readAll(request: Request): Promise<Uint8Array> {
  const buffer = await request.arrayBuffer();
  if (buffer.byteLength > MAX_BYTES) throw tooLarge();
  return new Uint8Array(buffer);
}

async function readStream(request: Request, signal: AbortSignal): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array();
  const reader = request.body.getReader();
  // The caller may be gone already; the error that ends the reading is what counts.
  const cancel = (reason: unknown) => void reader.cancel(reason).catch(() => {});
  signal.addEventListener("abort", () => cancel(signal.reason), { once: true });
  const bytes = new Uint8Array(MAX_BYTES);
  let length = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (length + part.value.length > MAX_BYTES) {
      const error = tooLarge();
      cancel(error);
      throw error;
    }
    bytes.set(part.value, length);
    length += part.value.length;
  }
  return bytes.subarray(0, length);
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
