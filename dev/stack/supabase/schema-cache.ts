/**
 * One look at the schema, however many requests wait for it.
 *
 * PostgREST reads the schema before it serves. lite does so at the first request, and each request
 * that comes before the first look is over takes a look of its own, some twenty queries of the
 * catalogue: with 160 callers at once on a busy machine, nobody was answered for half a minute.
 */
import type { StackDatabase } from "./database.ts";

/** Makes requests that find no cached schema share the look that is under way. */
export function shareSchemaLook(connection: StackDatabase["connection"]): void {
  const look = connection.introspect.bind(connection);
  const forget = connection.clearSchemaCache.bind(connection);
  let underWay: ReturnType<typeof look> | undefined;
  connection.introspect = (options) => {
    // Whoever wants no cache wants the schema as it is now.
    if (options?.useCache !== true) return look(options);
    if (underWay) return underWay;
    const mine = look(options).finally(() => {
      if (underWay === mine) underWay = undefined;
    });
    return underWay = mine;
  };
  connection.clearSchemaCache = () => {
    underWay = undefined;
    return forget();
  };
}
