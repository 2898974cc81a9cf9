/** The `services` of a Machine's config: https://fly.io/docs/machines/api/machines-resource/ */
import { z } from "zod";
import type { MachineConfig } from "../world/machine-config.ts";

const portSchema = z.looseObject({
  port: z.int().optional(),
  start_port: z.int().optional(),
  end_port: z.int().optional(),
  handlers: z.array(z.string()).default([]),
  force_https: z.boolean().default(false),
});

const serviceSchema = z.looseObject({
  protocol: z.string().default("tcp"),
  internal_port: z.int(),
  ports: z.array(portSchema).default([]),
  /** Unset means false in the Machines API. */
  autostart: z.boolean().default(false),
  /** `true` and `false` are the old words for `stop` and `off`. */
  autostop: z.union([z.boolean(), z.enum(["off", "stop", "suspend"])]).default("off")
    .transform((value) => typeof value === "string" ? value : value ? "stop" : "off"),
  min_machines_running: z.int().default(0),
  concurrency: z.looseObject({
    soft_limit: z.int().default(20),
    hard_limit: z.int().default(Number.MAX_SAFE_INTEGER),
  }).prefault({}),
});

export type Service = z.infer<typeof serviceSchema>;
export type ServicePort = z.infer<typeof portSchema>;

/** The services that can be read; one without an internal port leads nowhere. */
export function servicesOf(config: MachineConfig): Service[] {
  const services: readonly unknown[] = Array.isArray(config.services) ? config.services : [];
  return services.flatMap((service) => {
    const parsed = serviceSchema.safeParse(service);
    return parsed.success && parsed.data.protocol === "tcp" ? [parsed.data] : [];
  });
}

/** The service behind a public port, with the entry of that port. */
export function serviceAt(
  config: MachineConfig,
  port: number,
): { service: Service; entry: ServicePort } | null {
  for (const service of servicesOf(config)) {
    const entry = service.ports.find(({ port: one, start_port: start, end_port: end }) =>
      one === port || (start !== undefined && end !== undefined && start <= port && port <= end)
    );
    if (entry) return { service, entry };
  }
  return null;
}
