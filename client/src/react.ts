"use client";
/** The client as a React hook. */
// @ts-types="@types/react"
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import {
  type ListedMachine,
  type Machine,
  type ProvisionMachineClient,
  ProvisionMachineError,
  type ProvisionRequest,
  type Watch,
  type WatchState,
} from "provision-machine-client";

/** What is being done to a machine. */
export type MachineAction = "provision" | "start" | "stop" | "suspend" | "destroy";

export interface MachineHook {
  /** The user's newest machine that exists; null if there is none, or `machines` is null. */
  machine: ListedMachine | null;
  /** All of the user's machines, newest first; null until they have been read. */
  machines: ListedMachine[] | null;
  /** Whether `machines` is current: only while `realtime` or `polling`. */
  state: WatchState;
  /** When `machines` was read, in milliseconds since the epoch; null: never. */
  readAt: number | null;
  /** The call of this component that is under way. */
  pending: MachineAction | null;
  /** Why the last call failed; null once the next one begins. */
  error: ProvisionMachineError | null;
  /**
   * Provisions a machine. While the outcome of an earlier call is not known, calling it again with the
   * same request continues that one and makes no second machine. Null: see `error`.
   */
  provision(request?: ProvisionRequest): Promise<Machine | null>;
  /** Starts a machine, if not another one then `machine`. Null: see `error`. */
  start(machineId?: string): Promise<Machine | null>;
  stop(machineId?: string): Promise<Machine | null>;
  suspend(machineId?: string): Promise<Machine | null>;
  /** Whether it is gone; false: see `error`. */
  destroy(machineId?: string): Promise<boolean>;
}

interface Snapshot {
  machines: ListedMachine[] | null;
  state: WatchState;
  readAt: number | null;
}

interface Call {
  pending: MachineAction | null;
  error: ProvisionMachineError | null;
}

const UNKNOWN: Snapshot = { machines: null, state: "reading", readAt: null };
const IDLE: Call = { pending: null, error: null };

/**
 * The signed-in user's machine, kept current, and what can be done with it. Make the client once,
 * outside of the component; change it when another user signs in.
 */
export function useMachine(client: ProvisionMachineClient): MachineHook {
  const [snapshot, setSnapshot] = useState(UNKNOWN);
  const [call, setCall] = useState(IDLE);
  const watch = useRef<Watch | null>(null);
  const unanswered = useRef<{ key: string | undefined; request: string } | null>(null);

  useEffect(() => {
    const current = client.watch({
      onMachines: (machines) => setSnapshot((before) => ({ ...before, machines })),
      onState: (state, readAt) => setSnapshot((before) => ({ ...before, state, readAt })),
    });
    watch.current = current;
    return () => {
      current.close();
      setSnapshot(UNKNOWN);
      setCall(IDLE);
    };
  }, [client]);

  const machine = snapshot.machines?.find(isLive) ?? null;
  const machineId = machine?.machine_id ?? null;

  const run = useCallback(
    async <Result>(pending: MachineAction, act: () => Promise<Result>): Promise<Result | null> => {
      setCall({ pending, error: null });
      watch.current?.refresh(250);
      try {
        const result = await act();
        setCall(IDLE);
        return result;
      } catch (error) {
        if (!(error instanceof ProvisionMachineError)) {
          setCall(IDLE);
          throw error;
        }
        setCall({ pending: null, error });
        return null;
      } finally {
        watch.current?.refresh();
      }
    },
    [],
  );

  const actions = useMemo(() => {
    const change = (what: "start" | "stop" | "suspend") => (id: string | null = machineId) =>
      run(what, () => client[what](known(id)));
    return {
      start: change("start"),
      stop: change("stop"),
      suspend: change("suspend"),
      destroy: async (id: string | null = machineId) =>
        await run("destroy", () => client.destroy(known(id))) !== null,
      provision: (request: ProvisionRequest = {}) =>
        run("provision", async () => {
          const sent = JSON.stringify(request);
          const { key, request: before } = unanswered.current ?? {};
          unanswered.current = null;
          try {
            return await client.provision(request, {
              ...(key !== undefined && sent === before ? { idempotencyKey: key } : {}),
            });
          } catch (error) {
            if (error instanceof ProvisionMachineError && error.retry === "same_key") {
              unanswered.current = { key: error.idempotencyKey ?? undefined, request: sent };
            }
            throw error;
          }
        }),
    };
  }, [client, machineId, run]);

  return { machine, ...snapshot, ...call, ...actions };
}

function isLive({ status }: ListedMachine): boolean {
  return status !== "error" && status !== "destroyed";
}

function known(machineId: string | null): string {
  if (machineId !== null) return machineId;
  throw new ProvisionMachineError("not_found", "There is no machine: provision one first");
}
