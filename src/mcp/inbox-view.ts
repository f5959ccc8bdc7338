import type { InboxPage } from "../agent/inbox.ts";
import { count } from "../wire/human.ts";
import { oneLine } from "../wire/untrusted.ts";
import { gapLine, indexLine } from "./render.ts";

/** The page as a model reads it. Subjects are the sender's words, so they stand in quotes. */
export function inboxText(page: InboxPage, now: number): string {
  const { entries, total, urgent, waiting } = page;
  const lines = [
    `${count(total, "message")} ${total === 1 ? "waits" : "wait"}${urgent > 0 ? `, ${urgent} urgent` : ""}${waiting.offline ? ", as far as this machine knows" : ""}.`,
  ];
  if (page.from !== undefined) lines.push(`From ${oneLine(page.from, 254)}: ${page.fitting}.`);
  if (waiting.offline) lines.push(gapLine(waiting.offline));
  if (entries.length > 0) lines.push("id | from | subject (sender's words) | kind | age | size | signature");
  lines.push(...entries.map((entry) => indexLine(entry, now)));
  if (page.nextCursor !== undefined)
    lines.push(`${page.more} more: amp_inbox with cursor "${oneLine(page.nextCursor, 600)}"`);
  if (waiting.behind > 0) lines.push(`${waiting.behind} newer ones come into view as these are acknowledged.`);
  if (waiting.unreadable > 0)
    lines.push(`${count(waiting.unreadable, "message")} could not be read (half-written or damaged); left in place.`);
  if (entries.length > 0) lines.push("next: amp_read with message_ids; after dealing with one: amp_reply, amp_ack.");
  return lines.join("\n");
}
