/** Lids that hold nothing back: what a mistake or a stranger could cost. */
import { type Check, type Problem, setCommand } from "../check.ts";

/** The smallest machine that runs for a month, in dollars. https://fly.io/docs/about/pricing/ */
const DOLLARS_PER_MACHINE = 2;
/** Beyond these a lid is as good as none for a project that begins. */
const MOST = {
  MAX_MACHINES: 1_000,
  MAX_MACHINES_PER_USER: 10,
  MAX_PROVISIONS_PER_USER_PER_HOUR: 200,
} as const;

export const LIDS: Check = {
  name: "lids",
  run({ environment: { settings } }) {
    const found: Problem[] = [];
    const { MAX_MACHINES, MAX_MACHINES_PER_USER, MAX_PROVISIONS_PER_USER_PER_HOUR } = settings;
    if ((MAX_MACHINES ?? 0) > MOST.MAX_MACHINES) {
      const dollars = (MAX_MACHINES ?? 0) * DOLLARS_PER_MACHINE;
      found.push({
        says: `MAX_MACHINES is ${MAX_MACHINES}: a mistake may cost $${dollars} a month and more`,
        fix: setCommand("MAX_MACHINES=100"),
      });
    }
    if ((MAX_MACHINES_PER_USER ?? 0) > MOST.MAX_MACHINES_PER_USER) {
      found.push({
        says: `MAX_MACHINES_PER_USER is ${MAX_MACHINES_PER_USER}: one account may take as many`,
        fix: setCommand("MAX_MACHINES_PER_USER=1"),
      });
    }
    if ((MAX_PROVISIONS_PER_USER_PER_HOUR ?? 0) > MOST.MAX_PROVISIONS_PER_USER_PER_HOUR) {
      found.push({
        says: `MAX_PROVISIONS_PER_USER_PER_HOUR is ${MAX_PROVISIONS_PER_USER_PER_HOUR}: ` +
          "one user's loop takes the creates of all",
        fix: setCommand("MAX_PROVISIONS_PER_USER_PER_HOUR=20"),
      });
    }
    if (
      settings.MACHINE_MAX_LIFETIME_HOURS === undefined &&
      (settings.MACHINE_AUTOSTOP ?? "off") === "off"
    ) {
      found.push({
        says: "neither MACHINE_MAX_LIFETIME_HOURS nor MACHINE_AUTOSTOP is set: " +
          "a forgotten machine bills for ever",
        fix: setCommand("MACHINE_MAX_LIFETIME_HOURS=720"),
      });
    }
    return found;
  },
};
