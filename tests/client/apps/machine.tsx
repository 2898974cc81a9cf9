"use client";
// What a frontend writes: everything that the package exports, as a component.
import { createClient } from "@supabase/supabase-js";
import { useEffect, useState } from "react";
import {
  createProvisionMachineClient,
  type Database,
  type MachineConnection,
  type ProvisionMachineError,
} from "provision-machine-client";
import { useMachine } from "provision-machine-client/react";

const supabaseUrl = "https://project.supabase.co";
const publishableKey = "sb_publishable_key";
const supabase = createClient<Database>(supabaseUrl, publishableKey);
const machines = createProvisionMachineClient({ supabaseUrl, publishableKey, supabase });

export async function names(): Promise<string[]> {
  const { data } = await supabase.from("cloud_machines").select("machine_id, status, machine_events(kind)");
  return (data ?? []).map(({ machine_id, status, machine_events }) =>
    `${machine_id} ${status} ${machine_events.map(({ kind }) => kind).join()}`
  );
}

function Failure({ error }: { error: ProvisionMachineError }) {
  const again = error.retry === "no" ? "" : `Try again in ${error.retryAfterSeconds ?? 0} s.`;
  return <p role="alert">{error.hint} {again} ({error.code}, {error.requestId})</p>;
}

export default function Machine() {
  const { machine, machines: all, state, pending, error, provision, stop, destroy } = useMachine(machines);
  const [log, setLog] = useState<string[]>([]);
  const [connection, setConnection] = useState<MachineConnection | null>(null);
  const running = machine?.status === "running" ? machine.machine_id : null;

  useEffect(() => {
    if (running === null) return;
    const opened = machines.connect(running, {
      onMessage: (text) => setLog((lines) => [...lines, text]),
      onState: (now, why) => setLog((lines) => [...lines, `${now} ${why?.code ?? ""}`]),
    });
    setConnection(opened);
    return () => opened.close();
  }, [running]);

  return (
    <main>
      <p>{state}: {all === null ? "unknown" : `${all.length} machines`}</p>
      {machine === null
        ? <button type="button" disabled={pending !== null} onClick={() => void provision({ region: "fra" })}>Provision</button>
        : (
          <>
            <button type="button" onClick={() => void stop()}>Stop</button>
            <button type="button" onClick={() => void destroy()}>Destroy</button>
            <button type="button" onClick={() => void connection?.send("hello")}>Greet</button>
          </>
        )}
      {error && <Failure error={error} />}
      <pre>{log.join("\n")}</pre>
    </main>
  );
}
