export { type Clock, systemClock, VirtualClock } from "../clock.ts";
export type { Token } from "./api/authorization.ts";
export type { Fault, PendingFault } from "./control/faults.ts";
export { DEFAULT_TOKEN, FlySimulator, type FlySimulatorOptions } from "./control/simulator.ts";
export type { MachineConfig } from "./world/machine-config.ts";
export type { Failure } from "./control/controls.ts";
export { type Random, seededRandom } from "./world/random.ts";
export { FLY_RATE_LIMITS, type RateLimit, type RateLimits } from "./api/rate-limit.ts";
export { CAPACITY_VARIANT_NAMES, type CapacityVariant, FLY_REGIONS } from "./world/regions.ts";
export {
  type ServedFlySimulator,
  serveFlySimulator,
  type ServeOptions,
} from "./serve/serve-api.ts";
export { type ServedMachines, serveMachines } from "./serve/serve-machines.ts";
export { DEFAULT_SETTINGS, type Duration, type Settings } from "./control/settings.ts";
export type {
  Action,
  ExitEvent,
  MachineEvent,
  MachineRecord,
  MachineState,
  RequestRecord,
  Transition,
} from "./world/types.ts";
