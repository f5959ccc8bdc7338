import type { InboxPage } from "../agent/inbox.ts";
import type { WaitQuery } from "../agent/wait.ts";
import { count } from "../wire/human.ts";
import { oneLine, oneWord } from "../wire/untrusted.ts";
import { gapLine, indexLine } from "./render.ts";

/** What the wait brought, as a model reads it. Subjects are the sender's words, so they stand in quotes. */
export function waitText(page: InboxPage, query: WaitQuery, seconds: number, now: number): string {
  const { offline } = page.waiting;
  const problem = offline ? [gapLine(offline)] : [];
  const others = page.total - page.fitting;
  if (page.fitting === 0) {
    const also = others > 0 ? ` ${count(others, "other message")} ${others === 1 ? "waits" : "wait"}: amp_inbox.` : "";
    return [
      `nothing yet${wanted(query)} after ${count(seconds, "second")}.${also}`,
      ...problem,
      "next: go on, or call amp_wait again; what comes later is not lost.",
    ].join("\n");
  }
  return [
    `${count(page.fitting, "message")} ${page.fitting === 1 ? "waits" : "wait"}${wanted(query)}.`,
    ...problem,
    "id | from | subject (sender's words) | kind | age | size | signature",
    ...page.entries.map((entry) => indexLine(entry, now)),
    ...(page.more > 0 ? [`${page.more} more: amp_inbox`] : []),
    "next: amp_read with message_ids; after dealing with one: amp_reply, amp_ack.",
  ].join("\n");
}

function wanted({ from, inReplyTo }: WaitQuery): string {
  const sender = from === undefined ? "" : ` from ${oneLine(from, 254)}`;
  return inReplyTo === undefined ? sender : `${sender} in reply to ${oneWord(inReplyTo, 128)}`;
}
