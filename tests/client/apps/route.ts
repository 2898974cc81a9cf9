// The client on a server: a route handler of Next.
import { createProvisionMachineClient, ProvisionMachineError } from "provision-machine-client";

export async function POST(request: Request): Promise<Response> {
  const machines = createProvisionMachineClient({
    supabaseUrl: "https://project.supabase.co",
    publishableKey: "sb_publishable_key",
    getAccessToken: async () => request.headers.get("authorization")?.slice("Bearer ".length),
  });
  try {
    return Response.json(await machines.provision({}, { signal: request.signal }));
  } catch (error) {
    if (!(error instanceof ProvisionMachineError)) throw error;
    return Response.json(error.answer, { status: error.status ?? 503 });
  }
}
