/**
 * An image registry on loopback, as far as a HEAD of a manifest goes, with a login by token.
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md
 * https://distribution.github.io/distribution/spec/auth/token/
 */
export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:<port>`, the first part of an image's name. */
  host: string;
}

/** @param images `<repository>:<tag>` of each image that it has */
export function serveRegistry(images: readonly string[]): TestRegistry {
  const server: Deno.HttpServer<Deno.NetAddr> = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      const { pathname, searchParams } = new URL(request.url);
      if (pathname === "/token") {
        const repository = searchParams.get("scope")?.replace(/^repository:|:pull$/g, "");
        return Response.json({ token: `pull-${repository}` });
      }
      const [, repository, tag] = /^\/v2\/(.+)\/manifests\/([^/]+)$/.exec(pathname) ?? [];
      if (request.headers.get("authorization") !== `Bearer pull-${repository}`) {
        const realm = `http://127.0.0.1:${server.addr.port}/token`;
        const scope = `repository:${repository}:pull`;
        return new Response(null, {
          status: 401,
          headers: {
            "www-authenticate": `Bearer realm="${realm}",service="test",scope="${scope}"`,
          },
        });
      }
      if (repository?.startsWith("private/")) return new Response(null, { status: 403 });
      return new Response(null, { status: images.includes(`${repository}:${tag}`) ? 200 : 404 });
    },
  );
  return { host: `127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}
