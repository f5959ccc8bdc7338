/** The moments at which a host can be told, under the names that it gives them. */
export type Moment = "start" | "prompt" | "tool" | "stop";

/** Each host's own names of its events (`hook_event_name`). Others, a subagent's stop among them, are none of ours. */
const EVENTS = {
  "claude-code": { SessionStart: "start", UserPromptSubmit: "prompt", PostToolUse: "tool", Stop: "stop" },
  codex: { SessionStart: "start", UserPromptSubmit: "prompt", PostToolUse: "tool", Stop: "stop" },
  gemini: { SessionStart: "start", BeforeAgent: "prompt", AfterTool: "tool", AfterAgent: "stop" },
} as const satisfies Record<string, Record<string, Moment>>;

export type HookHost = keyof typeof EVENTS;
export const HOOK_HOSTS = ["claude-code", "codex", "gemini"] as const satisfies readonly HookHost[];

export function momentOf(host: HookHost, event: string): Moment | undefined {
  const events: Readonly<Record<string, Moment>> = EVENTS[host];
  return Object.hasOwn(events, event) ? events[event] : undefined;
}

/** What the host is to read from the hook so that its model reads `line`; at a stop, instead of stopping. */
export function answerOf(event: string, moment: Moment, line: string): Record<string, unknown> {
  if (moment === "stop") return { decision: "block", reason: line };
  return { hookSpecificOutput: { hookEventName: event, additionalContext: line } };
}
