import { count } from "../wire/human.ts";
import { priorityOf } from "../wire/message.ts";
import { redact } from "../wire/secrets.ts";
import { oneLine, oneWord } from "../wire/untrusted.ts";
import type { Status } from "./agent.ts";

/** The state of the agent, as lines to read and as facts: the same things in both. */
export function statusView(status: Status): { lines: string[]; facts: Record<string, unknown> } {
  const { identity, provider, found, offline, waiting } = status;
  const isReachable = found !== undefined;
  const name = found?.discovery.provider === undefined ? "" : oneWord(found.discovery.provider, 100);
  const urgent = waiting?.messages.filter(({ message }) => priorityOf(message.envelope) === "urgent").length ?? 0;
  const total = waiting === undefined ? undefined : waiting.messages.length + waiting.behind;
  const next = nextStep(status, total ?? 0);
  const url = redact(provider.value);
  const problem = offline === undefined ? undefined : redact(offline.message);
  const facts = {
    registered: identity.kind === "registered",
    name: identity.kind === "none" ? (identity.wanted ?? null) : identity.profile.name,
    provider_url: url,
    provider_from: provider.from,
    provider_name: name || null,
    reachable: isReachable,
    ...(problem === undefined ? {} : { problem }),
    waiting: total ?? null,
    urgent: total === undefined ? null : urgent,
    ...(total !== undefined && offline ? { waiting_is: "as far as this machine knows" } : {}),
    ...(waiting && waiting.unreadable > 0 ? { unreadable_files: waiting.unreadable } : {}),
    directory: identity.kind === "none" ? status.root : identity.profile.directory,
    next,
  };
  const reach = isReachable ? `reachable${name ? `, ${name}` : ""}` : "NOT reachable";
  return {
    facts,
    lines: [
      `provider: ${url} (${reach}; URL from ${provider.from})`,
      ...(problem === undefined ? [] : [`problem: ${problem}`]),
      ...(total === undefined
        ? []
        : [
            `waiting: ${count(total, "message")}${urgent > 0 ? `, ${urgent} urgent` : ""}${offline ? ", as far as this machine knows" : ""}`,
          ]),
      ...(waiting && waiting.unreadable > 0
        ? [`unreadable: ${count(waiting.unreadable, "message file")} (half-written or damaged; left as they are)`]
        : []),
      `directory: ${facts.directory}`,
      `next: ${next}`,
    ],
  };
}

function nextStep({ identity, offline, found, others }: Status, waiting: number): string {
  if (identity.kind === "none") {
    if (!found && offline) return offline.next;
    const here =
      others.length > 0
        ? ` (Other agents here: ${others
            .slice(0, 10)
            .map((name) => oneLine(name, 63))
            .join(", ")}.)`
        : "";
    return `call amp_register with ${identity.wanted === undefined ? "a name" : `name "${oneLine(identity.wanted, 63)}"`}.${here}`;
  }
  if (identity.kind === "incomplete") {
    return `call amp_register with name "${identity.profile.name}": this agent has no ${identity.missing.join(", no ")}; its keys are kept.`;
  }
  if (offline) return offline.next;
  return waiting > 0 ? "call amp_inbox." : "nothing waits; amp_send writes to another agent.";
}
