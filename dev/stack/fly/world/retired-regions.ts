/** Regions that take nothing new any more. */
import { FlyRefusal } from "../api/errors.ts";

/**
 * Each retired region and its successor: flyctl's internal/command/launch/plan_builder.go, and `bom`,
 * retired on 2026-08-17 although the page of regions still has it.
 */
export const RETIRED_REGIONS: Readonly<Record<string, string>> = {
  atl: "dfw",
  bog: "gru",
  bom: "sin",
  bos: "ewr",
  den: "dfw",
  eze: "gru",
  gdl: "dfw",
  gig: "gru",
  hkg: "sin",
  mad: "cdg",
  mia: "dfw",
  otp: "fra",
  phx: "lax",
  qro: "dfw",
  scl: "gru",
  sea: "sjc",
  waw: "ams",
  yul: "yyz",
};

/** The refusal's text is recorded (superfly/docs issue 2171), its status is not: each is drawn. */
export const RETIRED_STATUSES = [400, 412, 422] as const;

export function regionRetired(region: string, successor: string, status: number): FlyRefusal {
  return new FlyRefusal(
    status,
    `Region ${region} is deprecated and cannot have new resources provisioned. ` +
      `Please consider using an alternate region such as ${successor}`,
  );
}
