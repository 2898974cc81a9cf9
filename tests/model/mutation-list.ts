/**
 * Deliberate bugs, each as an exact replacement in one file. A source that no longer contains `from`
 * makes the run fail, so that this list cannot rot.
 */
import { AROUND } from "./mutation-list/around.ts";
import { IN_MIGRATIONS } from "./mutation-list/migrations.ts";
import { IN_POOL_MIGRATIONS } from "./mutation-list/pool-migrations.ts";
import { IN_PROVISION } from "./mutation-list/provision.ts";
import { IN_RECONCILE } from "./mutation-list/reconcile.ts";
import { IN_REQUESTS } from "./mutation-list/requests.ts";
import type { Mutation } from "./mutation-list/mutation.ts";

export type { Mutation } from "./mutation-list/mutation.ts";

export const MUTATIONS: Mutation[] = [
  ...IN_PROVISION,
  ...IN_RECONCILE,
  ...IN_REQUESTS,
  ...IN_MIGRATIONS,
  ...IN_POOL_MIGRATIONS,
  ...AROUND,
];
