/** The least that a function can be: what the runtime itself costs. */
Deno.serve(() => new Response(null, { status: 401 }));
