/**
 * As much of Postgres' wire protocol as is needed to speak for a server that is away.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** One message, its bytes included as they came. */
export interface WireMessage {
  /** One letter; empty for the start-up message, which has none. */
  type: string;
  bytes: Uint8Array;
}

const LENGTH_BYTES = 4;

/** Splits what arrives into messages. Ends with the connection, half a message is dropped. */
export async function* wireMessages(
  connection: Deno.Conn,
  options: { withStartup: boolean },
): AsyncGenerator<WireMessage> {
  let buffered = new Uint8Array();
  let typeBytes = options.withStartup ? 0 : 1;
  for (;;) {
    while (buffered.length >= typeBytes + LENGTH_BYTES) {
      const view = new DataView(buffered.buffer, buffered.byteOffset);
      const length = typeBytes + view.getUint32(typeBytes);
      if (buffered.length < length) break;
      const bytes = buffered.slice(0, length);
      buffered = buffered.slice(length);
      yield { type: typeBytes === 0 ? "" : String.fromCharCode(bytes[0] ?? 0), bytes };
      typeBytes = 1;
    }
    const chunk = await readSome(connection);
    if (chunk === null) return;
    const joined = new Uint8Array(buffered.length + chunk.length);
    joined.set(buffered);
    joined.set(chunk, buffered.length);
    buffered = joined;
  }
}

/** What a server says when it is shut down, or is not up yet. */
export function errorResponse(severity: "ERROR" | "FATAL", code: string, text: string): Uint8Array {
  return message("E", `S${severity}\0V${severity}\0C${code}\0M${text}\0\0`);
}

/** @param status `I` idle, `T` in a transaction, `E` in one that failed */
export function readyForQuery(status: string): Uint8Array {
  return message("Z", status);
}

export function commandComplete(tag: string): Uint8Array {
  return message("C", `${tag}\0`);
}

/** The text of a simple query. */
export function queryText({ bytes }: WireMessage): string {
  return new TextDecoder().decode(bytes.slice(1 + LENGTH_BYTES, -1));
}

/** The status in a ReadyForQuery. */
export function transactionStatus({ bytes }: WireMessage): string {
  return String.fromCharCode(bytes[1 + LENGTH_BYTES] ?? 0);
}

export async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await connection.write(bytes.subarray(written));
  }
}

function message(type: string, payload: string): Uint8Array {
  const body = new TextEncoder().encode(payload);
  const bytes = new Uint8Array(1 + LENGTH_BYTES + body.length);
  bytes[0] = type.charCodeAt(0);
  new DataView(bytes.buffer).setUint32(1, LENGTH_BYTES + body.length);
  bytes.set(body, 1 + LENGTH_BYTES);
  return bytes;
}

async function readSome(connection: Deno.Conn): Promise<Uint8Array | null> {
  const chunk = new Uint8Array(16 * 1024);
  try {
    const read = await connection.read(chunk);
    return read === null ? null : chunk.subarray(0, read);
  } catch {
    // Reset by the other side, or closed by ours: over either way.
    return null;
  }
}
