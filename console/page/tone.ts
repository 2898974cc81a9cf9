/** How something is. */
export type Tone = "good" | "busy" | "bad" | "warning" | "quiet";
