/** What the doctor reads at Fly.io and the function does not. */
import { z } from "zod/v3";
import type { FlyClient } from "../../../supabase/functions/provision-machine/fly/client.ts";
import type { Deadline } from "../../../supabase/functions/provision-machine/time.ts";

const Token = z.object({
  org_slug: z.string().nullish(),
  apps: z.array(z.unknown()).nullish(),
  user: z.unknown(),
  restricted_to_machine: z.unknown(),
  source_machine_id: z.unknown(),
});
export type FlyToken = z.output<typeof Token>;

/** What the token is; a credential can be several. https://docs.machines.dev/#tag/tokens */
export async function currentTokens(fly: FlyClient, deadline: Deadline): Promise<FlyToken[]> {
  const { data } = await fly.request({
    method: "GET",
    path: "/tokens/current",
    schema: z.object({ tokens: z.array(Token) }),
    deadline,
  });
  return data.tokens;
}

const Region = z.object({ code: z.string(), deprecated: z.boolean().nullish() });

/** Every region, the retired ones too. The live answer's keys are capitals, its description's are not. */
export async function platformRegions(
  fly: FlyClient,
  deadline: Deadline,
): Promise<Map<string, { retired: boolean }>> {
  const { data } = await fly.request({
    method: "GET",
    path: "/platform/regions",
    schema: z.object({ Regions: z.array(Region), regions: z.array(Region) }).partial(),
    deadline,
  });
  const regions = data.Regions ?? data.regions ?? [];
  return new Map(regions.map(({ code, deprecated }) => [code, { retired: deprecated === true }]));
}
