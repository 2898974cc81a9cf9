/** Serves an in-process database over TCP. */
import type { PGlite } from "@electric-sql/pglite";
import { PGLiteSocketServer } from "@electric-sql/pglite-socket";

/** A database that programs reach over TCP. */
export interface PostgresSocket extends AsyncDisposable {
  /** Connection string of the superuser, on a free port of 127.0.0.1, without TLS. */
  url: string;
}

/**
 * Serves an in-process database over the Postgres wire protocol, for programs that insist on a
 * connection string. All connections share PGlite's one session and take turns, query by query.
 *
 * Disposing closes the socket, not the database.
 */
export async function servePostgres(database: PGlite): Promise<PostgresSocket> {
  const server = new PGLiteSocketServer({
    db: database,
    host: "127.0.0.1",
    port: 0,
    // The package's default is 1; the Supabase CLI opens a second connection before it closes the first.
    maxConnections: 8,
  });
  await server.start();
  return {
    url: `postgresql://postgres:postgres@${server.getServerConn()}/postgres?sslmode=disable`,
    [Symbol.asyncDispose]: () => server.stop(),
  };
}
