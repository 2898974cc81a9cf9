/** The names of the function's health checks in words. */

const NAMES: Record<string, string> = {
  "database:responseTime": "Database response time",
  "database:schemaVersion": "Database schema",
  "reconcile:lastRun": "Last reconcile",
  "machines:pastDeadline": "Machines past their deadline",
  "alerts:undelivered": "Undelivered alerts",
  "database:project": "Database belongs to this project",
  "machines:withoutRow": "Machines without a row",
  "pool:ready": "Warm pool",
  "fly:isolation": "Isolation of the machines",
  "fly:organization": "Fly.io organization",
};
const GROUPS: Record<string, string> = { environment: "Setting", fly: "Fly.io app" };

/** `Setting FLY_API_TOKEN`; for a check that this page does not know, `Component: some value`. */
export function checkName(check: string): string {
  const known = Object.hasOwn(NAMES, check) ? NAMES[check] : undefined;
  if (known !== undefined) return known;
  const [component = "", ...rest] = check.split(":");
  const measurement = rest.join(":");
  const group = Object.hasOwn(GROUPS, component) ? GROUPS[component] : undefined;
  if (group !== undefined) return `${group} ${measurement}`;
  const words = measurement.replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
  const name = component.charAt(0).toUpperCase() + component.slice(1);
  return words === "" ? name : `${name}: ${words}`;
}
