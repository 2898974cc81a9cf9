/** What is sent to Fly.io for a row, what of it may be logged, and the machine's name. */
import assert from "node:assert/strict";
import {
  buildCreateBody,
  loggableBody,
  type MachineConfigInput,
  randomNamePart,
} from "../../supabase/functions/provision-machine/provision/machine-config.ts";
import { hasNameOf, ownerTags } from "../../supabase/functions/provision-machine/fly/identity.ts";

const INPUT: MachineConfigInput = {
  machineId: "machine-0123456789abcdef",
  userId: "0b8f6a4e-3c1d-4f5a-9b7e-2d1c0a9f8e7d",
  region: "iad",
  cpuPriority: "normal",
  image: "registry.fly.io/app:1",
  port: 8080,
  autostop: "off",
  extraEnv: {
    PASSWORD: "secret",
    USER_ID: "forged",
    MACHINE_ID: "forged",
    CPU_PRIORITY: "forged",
    CONNECT_KEY: "forged",
  },
  connectKey: "the-key-of-this-machine",
  tags: { managed_by: "provision-machine" },
};
const OWN_ENV = {
  USER_ID: INPUT.userId,
  MACHINE_ID: INPUT.machineId,
  CPU_PRIORITY: "normal",
  CONNECT_KEY: "the-key-of-this-machine",
};
const LOGGED_OWN_ENV = { ...OWN_ENV, CONNECT_KEY: "[REDACTED]" };

Deno.test("machine config: the whole body, in which the function's own variables win", () => {
  assert.deepEqual(buildCreateBody(INPUT), {
    name: "machine-0123456789abcdef",
    region: "iad",
    config: {
      image: "registry.fly.io/app:1",
      guest: { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
      env: { PASSWORD: "secret", ...OWN_ENV },
      services: [{
        protocol: "tcp",
        internal_port: 8080,
        ports: [{ port: 80, handlers: ["http"] }, { port: 443, handlers: ["tls", "http"] }],
        autostop: "off",
        autostart: false,
      }],
      restart: { policy: "on-failure", max_retries: 3 },
      auto_destroy: false,
      metadata: { managed_by: "provision-machine" },
    },
  });
});

Deno.test("machine config: what Fly Proxy puts to sleep, it also wakes", () => {
  const services = (autostop: "stop" | "suspend") =>
    buildCreateBody({ ...INPUT, autostop }).config.services
      .map(({ autostop, autostart }) => ({ autostop, autostart }));
  assert.deepEqual(services("stop"), [{ autostop: "stop", autostart: true }]);
  assert.deepEqual(services("suspend"), [{ autostop: "suspend", autostart: true }]);
});

Deno.test("machine config: without a secret there is no key, and MACHINE_ENV cannot set one", () => {
  const input = { ...INPUT, connectKey: null };
  const { CONNECT_KEY: _, ...withoutKey } = OWN_ENV;
  const body = buildCreateBody(input);
  assert.deepEqual(body.config.env, { PASSWORD: "secret", ...withoutKey });
  assert.deepEqual(loggableBody(body, input).config.env, {
    PASSWORD: "[REDACTED]",
    ...withoutKey,
  });
});

Deno.test("machine config: the guest of each priority", () => {
  const guests = {
    low: { cpu_kind: "shared", cpus: 1, memory_mb: 256 },
    normal: { cpu_kind: "shared", cpus: 2, memory_mb: 512 },
    high: { cpu_kind: "performance", cpus: 1, memory_mb: 2048 },
  } as const;
  for (const cpuPriority of ["low", "normal", "high"] as const) {
    const { config } = buildCreateBody({ ...INPUT, cpuPriority });
    assert.deepEqual(config.guest, guests[cpuPriority]);
    assert.equal(config.env["CPU_PRIORITY"], cpuPriority);
  }
});

Deno.test("machine config: the log shows names of MACHINE_ENV, never values", () => {
  const input = { ...INPUT, extraEnv: { PASSWORD: "secret", ["N".repeat(50)]: "other" } };
  const body = buildCreateBody(input);
  const logged = loggableBody(body, input);
  assert.deepEqual(logged, {
    ...body,
    config: {
      ...body.config,
      env: {
        PASSWORD: "[REDACTED]",
        [`${"N".repeat(40)}…[cut, 50 characters in all]`]: "[REDACTED]",
        ...LOGGED_OWN_ENV,
      },
    },
  });
});

Deno.test("machine config: the log shows ten names and how many more there are", () => {
  const envOf = (count: number) => {
    const extraEnv = Object.fromEntries(Array.from({ length: count }, (_, n) => [`V${n}`, "x"]));
    const input = { ...INPUT, extraEnv };
    return loggableBody(buildCreateBody(input), input).config.env;
  };
  const ten = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`V${n}`, "[REDACTED]"]));
  assert.deepEqual(envOf(10), { ...ten, ...LOGGED_OWN_ENV });
  assert.deepEqual(envOf(13), { ...ten, "…": "3 more", ...LOGGED_OWN_ENV });
});

Deno.test("machine config: metadata names the project and the row", () => {
  assert.deepEqual(ownerTags("https://abc.supabase.co/", "row-1"), {
    managed_by: "provision-machine",
    supabase_project: "abc.supabase.co",
    cloud_machine_id: "row-1",
  });
});

Deno.test("machine config: a name is ours when it has our tag before its random part", () => {
  assert.equal(hasNameOf("d41329", "machine-d41329-g5772ed5p0rb27"), true);
  assert.equal(hasNameOf("d41329", "my-app-d41329-g5772ed5p0rb27"), true);
  for (
    const name of ["machine-d41328-g5772ed5p0rb27", "machine-d41329", "d41329", "", "a-d41329-b-c"]
  ) {
    assert.equal(hasNameOf("d41329", name), false, name);
  }
});

Deno.test("machine config: the random part is made of random bytes, evenly, as Fly.io allows", () => {
  const asked: number[] = [];
  const partOf = (bytes: number[]) =>
    randomNamePart({
      randomBytes: (length) => {
        asked.push(length);
        return Uint8Array.from(bytes);
      },
    });
  const first = Array.from({ length: 14 }, (_, n) => n);
  assert.equal(partOf(first), "0123456789abcd");
  assert.equal(partOf(first.map((n) => n + 16)), "ghjkmnpqrstvwx");
  assert.equal(partOf(first.map((n) => n + 240)), "ghjkmnpqrstvwx");
  assert.deepEqual(asked, [14, 14, 14]);
});
