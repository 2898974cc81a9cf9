/** How Fly.io refuses a call, each with where its wording is from. */

/** How a refusal's body is built: the usual one, the one seen on leases, or none (superfly/docs#2187). */
export type RefusalForm = "error" | "message" | "empty";

/**
 * A refusal by the API. `status` in the body is only there when Fly.io classifies the error: recorded
 * answers carry `error` alone, except `insufficient_capacity` and `name_taken` (fly-go,
 * flaps/flaps_error.go).
 */
export class FlyRefusal extends Error {
  override readonly name = "FlyRefusal";
  readonly #code: string | undefined;
  readonly #form: RefusalForm | undefined;

  /**
   * @param code The `status` member of the body.
   * @param form The form that this refusal has whatever the settings say.
   */
  constructor(
    readonly status: number,
    message: string,
    { code, form }: { code?: string; form?: RefusalForm } = {},
  ) {
    super(message);
    this.#code = code;
    this.#form = form;
  }

  /** The JSON body of the answer; undefined when there is none. */
  body(usualForm: RefusalForm): Record<string, string> | undefined {
    const form = this.#form ?? usualForm;
    if (form === "empty") return undefined;
    if (form === "message") return { status: "error", message: this.message };
    return { error: this.message, ...(this.#code === undefined ? {} : { status: this.#code }) };
  }
}

/** Recorded in github.com/clutterstack/clutterfly, test_scribbles.md. */
export const unauthorized = (): FlyRefusal =>
  new FlyRefusal(401, "Authenticate: token validation error");

/** The text that fly-go compares with (flaps/flaps_apps.go, AppNameAvailable). */
export const forbidden = (): FlyRefusal => new FlyRefusal(403, "unauthorized");

/** Text from Fly.io's documentation of the Apps resource. */
export const appNotFound = (): FlyRefusal => new FlyRefusal(404, "Could not find App");

/** Recorded in github.com/clutterstack/clutterfly. */
export const machineNotFound = (): FlyRefusal =>
  new FlyRefusal(404, "not_found: machine not found");

/** Text as in public clients that parse the id out of it. */
export const nameViolation = (id: string, name: string, status: 409 | 422): FlyRefusal =>
  new FlyRefusal(
    status,
    `already_exists: unique machine name violation, machine ID ${id} already exists with name "${name}"`,
  );

const TAKEN = "Validation failed: Name has already been taken";

/**
 * How a taken app name is refused. All but the last are in fly-go's flaps/flaps_error_test.go and
 * flaps_error.go: the code is new, and a race trips the database's constraint. Kilo and hexclave
 * reckon with 409.
 */
export const APP_NAME_TAKEN = {
  "code": () => new FlyRefusal(422, TAKEN, { code: "name_taken" }),
  "text": () => new FlyRefusal(422, TAKEN),
  "constraint-code": () =>
    new FlyRefusal(422, "uniqueness constraint violated", { code: "name_taken" }),
  "constraint-text": () => new FlyRefusal(422, "uniqueness constraint violated"),
  "409": () => new FlyRefusal(409, TAKEN),
} as const;

/** fly-go, flaps/flaps_error_test.go. */
export const appNameInvalid = (): FlyRefusal =>
  new FlyRefusal(
    422,
    "Validation failed: Name under 63 chars using numbers, lowercase letters and dashes",
  );

/** The rule is from fly.io/docs/networking/custom-private-networks; status and text are ours. */
export const networkInvalid = (): FlyRefusal =>
  new FlyRefusal(422, "Validation failed: Network must start with a letter");

/** The text is ours. */
export const addressNotFound = (): FlyRefusal => new FlyRefusal(404, "ip assignment not found");

/** Recorded by ampbase-io/terraform-provider-fly. */
export const addressTypeInvalid = (): FlyRefusal => new FlyRefusal(400, "invalid ip address type");

/**
 * A second address of a kind. The statuses are those that Kilo takes for "has it already"; the text is
 * that of the GraphQL API, as speakeasy-api/gram has it.
 */
export const addressExists = (status: 409 | 422): FlyRefusal =>
  new FlyRefusal(status, "Validation failed: App already has an IP address of this type");

/** The text as Fly Proxy logs it (`machines API returned an error: "rate limit exceeded"`). */
export const rateLimited = (): FlyRefusal => new FlyRefusal(429, "rate limit exceeded");

/** Recorded: `…desired state, started, currently created`. */
export const waitTimedOut = (desired: readonly string[], current: string): FlyRefusal =>
  new FlyRefusal(
    408,
    `deadline_exceeded: machine failed to reach desired state, ${
      desired.join(", ")
    }, currently ${current}`,
  );

/** Recorded by ampbase-io/terraform-provider-fly for a stopped Machine and `suspended`; the text is ours. */
export const unreachableState = (desired: readonly string[], current: string): FlyRefusal =>
  new FlyRefusal(
    409,
    `aborted: machine cannot reach desired state, ${desired.join(", ")}, currently ${current}`,
  );

/** Recorded: superfly/flyctl issue 1751, Kilo-Org/cloud pull request 297. */
export const instanceIdRequired = (): FlyRefusal =>
  new FlyRefusal(400, "instance_id required when waiting for stopped machine");

/** Recorded by several public clients that asked for more than 60 s. */
export const waitTimeoutOutOfRange = (): FlyRefusal =>
  new FlyRefusal(
    400,
    "invalid_argument: invalid WaitMachineRequest.Timeout: value must be inside range [1s, 1m0s]",
  );

/** Recorded for a DELETE of a running Machine without `force`. */
export const notDestroyable = (): FlyRefusal =>
  new FlyRefusal(
    412,
    "failed_precondition: unable to destroy machine, not currently stopped, suspended, failed, or pending",
  );

/** Recorded for `start` (`…current state: 'created'`); the wording for `stop` follows it. */
export const wrongState = (verb: string, state: string, status = 412): FlyRefusal =>
  new FlyRefusal(
    status,
    `failed_precondition: unable to ${verb} machine from current state: '${state}'`,
  );

/** `invalid_argument`, with a text that is ours where no recorded one is known. */
export const invalidArgument = (what: string): FlyRefusal =>
  new FlyRefusal(400, `invalid_argument: ${what}`);

/** Recorded without a prefix, as in `invalid config.guest.memory_mb, cannot exceed 2048 MiB`. */
export const invalidConfig = (what: string): FlyRefusal =>
  new FlyRefusal(400, `invalid config.${what}`);

/** Go's own message when JSON of another type arrives (superfly/docs issue 2187 shows one). */
export const wrongJsonType = (found: string, field: string, expected: string): FlyRefusal =>
  new FlyRefusal(
    400,
    `json: cannot unmarshal ${found} into Go struct field ${field} of type ${expected}`,
  );

/** The simulator says so aloud when a real endpoint is not modelled, rather than answer 404. */
export const notModelled = (method: string, path: string): FlyRefusal =>
  new FlyRefusal(501, `unimplemented: the simulator does not model ${method} ${path}`);

/** Go's own answer to a path without a handler. */
export const unknownPath = (): FlyRefusal => new FlyRefusal(404, "404 page not found");

/** Recorded for 0.4 to 1 s after `stopped`. */
export const stillActive = (status: number): FlyRefusal =>
  new FlyRefusal(status, "failed_precondition: machine still active, refusing to start");

/** Recorded while a Machine comes up. */
export const stillStarting = (): FlyRefusal =>
  new FlyRefusal(409, "aborted: machine still attempting to start");

/** Recorded after an update. */
export const beingReplaced = (status: number): FlyRefusal =>
  new FlyRefusal(status, "failed_precondition: machine getting replaced, refusing to start");

/** The status is documented, the text is ours. */
export const versionMismatch = (): FlyRefusal =>
  new FlyRefusal(409, "aborted: current_version does not match the machine's version");

/** The status is in the API's OpenAPI file, the text is ours. */
export const metadataVersionMismatch = (): FlyRefusal =>
  new FlyRefusal(412, "failed_precondition: machine_version does not match the machine's version");

/** The text is ours. */
export const metadataNotFound = (key: string): FlyRefusal =>
  new FlyRefusal(404, `metadata key '${key}' not found`);
