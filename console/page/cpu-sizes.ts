/** What each CPU priority is, as the function configures it at Fly.io. */
import type { CpuPriority } from "provision-machine-client";

export interface CpuSize {
  name: string;
  /** CPUs and memory. */
  size: string;
}

export const CPU_SIZES: Record<CpuPriority, CpuSize> = {
  low: { name: "Low", size: "1 shared CPU, 256\u00a0MB" },
  normal: { name: "Normal", size: "2 shared CPUs, 512\u00a0MB" },
  high: { name: "High", size: "1 dedicated CPU, 2\u00a0GB" },
};

export function isCpuPriority(value: unknown): value is CpuPriority {
  return typeof value === "string" && Object.hasOwn(CPU_SIZES, value);
}

/** `2 shared CPUs, 512 MB`; the priority itself if this page does not know it. */
export function sizeOf(priority: string): string {
  return isCpuPriority(priority) ? CPU_SIZES[priority].size : `CPU priority ${priority}`;
}
