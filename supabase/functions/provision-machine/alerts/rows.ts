import { z } from "zod/v3";

/** A message that was decided upon, from the table `alerts`. */
export const Alert = z.object({
  id: z.number(),
  kind: z.enum(["failures", "configuration"]),
  event: z.enum(["firing", "recovered"]),
  content: z.object({
    count: z.number(),
    byCode: z.record(z.string(), z.number()),
    newestRequestId: z.string().nullable(),
    windowMinutes: z.number(),
  }),
  attempts: z.number(),
});
export type Alert = z.output<typeof Alert>;
