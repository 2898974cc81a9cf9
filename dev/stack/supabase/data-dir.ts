/**
 * A Postgres data directory as one array of bytes, and a file system that PGlite starts on it.
 *
 * PGlite's own way is a tar archive: unpacking one takes it 0.3 s of processor time at every start,
 * and the server then 0.2 s to clear its 128 MB of shared buffers. Here the files' contents are
 * handed over without being copied, and a data directory is packed with smaller buffers.
 */
import { MemoryFS, type PGlite } from "@electric-sql/pglite";
import { z } from "zod";

/** Where PGlite has its data directory. */
const ROOT = "/pglite/data";

/** Enough for what a local stack holds, and in memory the files are as fast as the buffers. */
const SHARED_BUFFERS = "8MB";

const HeaderSchema = z.object({
  directories: z.array(z.string()),
  files: z.array(z.object({
    path: z.string(),
    /** Of its bytes, without the zeros that it ends with. */
    stored: z.number().int().nonnegative(),
    size: z.number().int().nonnegative(),
  })),
  /** What else belongs to this data directory. */
  note: z.unknown(),
});

type Header = z.infer<typeof HeaderSchema>;

/** A data directory, read from its bytes. */
export interface DataDir {
  note: unknown;
  /** For one PGlite: it changes the bytes. */
  fs: MemoryFS;
}

/** What is used of Emscripten's file system, https://emscripten.org/docs/api_reference/Filesystem-API.html */
interface EmscriptenFiles {
  mkdirTree(path: string): void;
  chmod(path: string, mode: number): void;
  writeFile(path: string, data: Uint8Array, options: { canOwn: boolean }): void;
  readFile(path: string): Uint8Array;
  readdir(path: string): string[];
  stat(path: string): { mode: number };
  isDir(mode: number): boolean;
}

/**
 * Packs the data directory of a running PGlite, so that a start on it needs no recovery.
 *
 * @param note anything that JSON can say, returned by {@link readDataDir}
 */
export async function packDataDir(pglite: PGlite, note: unknown = null): Promise<Uint8Array> {
  await pglite.exec(`alter system set shared_buffers = '${SHARED_BUFFERS}'`);
  await pglite.exec("checkpoint");
  const header: Header = { directories: [], files: [], note };
  const contents: Uint8Array[] = [];
  collect(pglite.Module.FS, "", header, contents);
  const head = new TextEncoder().encode(JSON.stringify(header));
  const length = new Uint8Array(HEADER_LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, head.length);
  return concatenate([length, head, ...contents]);
}

/**
 * Reads what {@link packDataDir} packed.
 *
 * @param packed belongs to the result from now on
 * @throws Error when it is something else, or not all of it
 */
export function readDataDir(packed: Uint8Array): DataDir {
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  const start = HEADER_LENGTH_BYTES + view.getUint32(0);
  const head = new TextDecoder().decode(packed.subarray(HEADER_LENGTH_BYTES, start));
  const header = HeaderSchema.parse(JSON.parse(head));
  const stored = header.files.reduce((sum, file) => sum + file.stored, 0);
  if (start + stored !== packed.length) throw new Error("the data directory is not complete");
  return { note: header.note, fs: new PackedFiles(header, packed.subarray(start)) };
}

const HEADER_LENGTH_BYTES = 4;

/** PGlite's file system in memory, with the files already there. */
class PackedFiles extends MemoryFS {
  readonly #header: Header;
  readonly #contents: Uint8Array;

  constructor(header: Header, contents: Uint8Array) {
    super();
    this.#header = header;
    this.#contents = contents;
  }

  override initialSyncFs(): Promise<void> {
    if (this.pg === undefined) throw new Error("PGlite did not initialise its file system");
    const files: EmscriptenFiles = this.pg.Module.FS;
    files.mkdirTree(ROOT);
    for (const path of this.#header.directories) files.mkdirTree(`${ROOT}/${path}`);
    // Postgres refuses a directory that others can read.
    for (const path of ["", ...this.#header.directories]) files.chmod(`${ROOT}/${path}`, 0o700);
    let at = 0;
    for (const { path, stored, size } of this.#header.files) {
      const data = this.#contents.subarray(at, at += stored);
      files.writeFile(`${ROOT}/${path}`, padded(data, size), { canOwn: true });
    }
    return Promise.resolve();
  }
}

function collect(
  files: EmscriptenFiles,
  directory: string,
  header: Header,
  contents: Uint8Array[],
): void {
  for (const name of files.readdir(`${ROOT}/${directory}`)) {
    if (name === "." || name === "..") continue;
    const path = directory === "" ? name : `${directory}/${name}`;
    if (files.isDir(files.stat(`${ROOT}/${path}`).mode)) {
      header.directories.push(path);
      collect(files, path, header, contents);
      continue;
    }
    const data = files.readFile(`${ROOT}/${path}`);
    const stored = data.findLastIndex((byte) => byte !== 0) + 1;
    header.files.push({ path, stored, size: data.length });
    contents.push(data.subarray(0, stored));
  }
}

function padded(data: Uint8Array, size: number): Uint8Array {
  if (data.length === size) return data;
  const whole = new Uint8Array(size);
  whole.set(data);
  return whole;
}

function concatenate(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
