export { type Clock, systemClock } from "./clock.ts";
export type { Token } from "./authorization.ts";
export type { Fault, PendingFault } from "./faults.ts";
export { DEFAULT_TOKEN, FlySimulator, type FlySimulatorOptions } from "./fly-simulator.ts";
export type { MachineConfig } from "./machine-config.ts";
export type { Failure } from "./operator.ts";
export { type Random, seededRandom } from "./random.ts";
export { FLY_RATE_LIMITS, type RateLimit, type RateLimits } from "./rate-limit.ts";
export { CAPACITY_VARIANT_NAMES, type CapacityVariant, FLY_REGIONS } from "./regions.ts";
export { type ServedFlySimulator, serveFlySimulator, type ServeOptions } from "./serve.ts";
export { type ServedMachines, serveMachines } from "./serve-machines.ts";
export { DEFAULT_SETTINGS, type Duration, type Settings } from "./settings.ts";
export type {
  Action,
  ExitEvent,
  MachineEvent,
  MachineRecord,
  MachineState,
  RequestRecord,
  Transition,
} from "./types.ts";
export { VirtualClock } from "./virtual-clock.ts";
