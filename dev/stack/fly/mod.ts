/** A Fly.io Machines API simulator; README.md says what it models. */
export { type Clock, systemClock, VirtualClock } from "../clock.ts";
export type { Token } from "./world/tokens.ts";
export type { App } from "./world/apps.ts";
export type { Organization } from "./world/organizations.ts";
export type { FlyFault, FlyFaultRule, PendingFlyFault } from "./control/fault-rules.ts";
export {
  DEFAULT_TOKEN,
  type Failure,
  FlySimulator,
  type FlySimulatorOptions,
} from "./control/simulator.ts";
export type { MachineConfig } from "./world/machine-config.ts";
export { type Random, seededRandom } from "./world/random.ts";
export { FLY_RATE_LIMITS, type RateLimit, type RateLimits } from "./api/rate-limit.ts";
export { CAPACITY_VARIANT_NAMES, type CapacityVariant, FLY_REGIONS } from "./world/regions.ts";
export {
  type ServedFlySimulator,
  serveFlySimulator,
  type ServeOptions,
} from "./serve/serve-api.ts";
export { type FlyProxyOptions, type ServedFlyProxy, serveFlyProxy } from "./proxy/fly-proxy.ts";
export {
  allocateAddress,
  allowCrossNetworkReplays,
  allowReplaySource,
  setSecrets,
} from "./proxy/flyctl.ts";
export { canReach, internalVms } from "./proxy/networks.ts";
export type { ProxyLogEntry } from "./proxy/proxy-error.ts";
export {
  DEFAULT_PROXY_SETTINGS,
  PROMPT_PROXY_SETTINGS,
  type ProxySettings,
} from "./proxy/settings.ts";
export { DEFAULT_SETTINGS, type Duration, type FlySettings } from "./control/settings.ts";
export type {
  Action,
  ExitEvent,
  FlyRequestRecord,
  MachineEvent,
  MachineRecord,
  MachineState,
  Transition,
} from "./world/types.ts";
