/** A site of an almost empty page that loads one script, `./page.js`. */
export function serveScript(
  script: Uint8Array<ArrayBuffer> | undefined,
): { url: string } & AsyncDisposable {
  if (script === undefined) throw new Error("the script was not bundled");
  const html = '<!doctype html><title>test</title><link rel="icon" href="data:,">' +
    '<div id="root"></div><script type="module" src="page.js"></script>';
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const isScript = new URL(request.url).pathname === "/page.js";
    return new Response(isScript ? script : html, {
      headers: { "content-type": isScript ? "text/javascript" : "text/html" },
    });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
