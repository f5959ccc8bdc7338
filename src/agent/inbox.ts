import { AmpError } from "../errors.ts";
import { parseAddress, sameMessageId } from "../wire/address.ts";
import { ADDRESS_MAX_CHARS, INBOX_DEFAULT, INDEX_SUBJECT_CHARS } from "../wire/limits.ts";
import { type Envelope, PRIORITIES, payloadInFull, payloadType, priorityOf } from "../wire/message.ts";
import { oneLine, oneWord, shownId } from "../wire/untrusted.ts";
import type { Agent } from "./agent.ts";
import type { Waiting } from "./mailbox.ts";
import type { Judgement, Verdict } from "./trust.ts";

type Item = Waiting["messages"][number];

export interface InboxQuery {
  limit?: number | undefined;
  /** Opaque; from the page before. */
  cursor?: string | undefined;
  /** Name or address of a sender. */
  from?: string | undefined;
  /** Only answers to the message with this id. */
  inReplyTo?: string | undefined;
}

/** What one message is, without its text. */
export interface IndexEntry {
  id: string;
  from: string;
  subject: string;
  type: string;
  priority: string;
  /** ISO 8601. */
  received_at: string;
  /** Bytes of text and context, as `amp_read` shows them. */
  size: number;
  signature: Verdict;
}

export function indexEntry(envelope: Envelope, judgement: Judgement, receivedAt: number): IndexEntry {
  return {
    id: shownId(envelope.id),
    from: oneWord(envelope.from, ADDRESS_MAX_CHARS),
    subject: oneLine(envelope.subject, INDEX_SUBJECT_CHARS),
    type: oneWord(payloadType(judgement.payload), 40),
    priority: priorityOf(envelope),
    received_at: new Date(receivedAt).toISOString(),
    size: Buffer.byteLength(payloadInFull(judgement.payload), "utf8"),
    signature: judgement.verdict,
  };
}

export interface InboxPage {
  entries: IndexEntry[];
  /** Of the entries, as they are. */
  ids: string[];
  /** Everything that waits, whatever the query asked for. */
  total: number;
  urgent: number;
  /** Messages that the query asked for. */
  fitting: number;
  /** Fitting messages after this page. */
  more: number;
  /** Position of the first entry among the fitting messages, from 1. */
  first: number;
  nextCursor: string | undefined;
  from: string | undefined;
  waiting: Waiting;
}

/** One page of what waits, most urgent first. A cursor names the last message shown, so new mail does not shift it. */
export async function inboxPage(agent: Agent, query: InboxQuery, signal?: AbortSignal): Promise<InboxPage> {
  return pageOf(agent, await agent.waiting(signal), query);
}

/** The page that a query asks for, of what was found waiting. */
export async function pageOf(agent: Agent, waiting: Waiting, query: InboxQuery): Promise<InboxPage> {
  const fitting = waiting.messages.filter((item) => fits(item, query));
  const start = query.cursor === undefined ? 0 : startAfter(fitting, query.cursor);
  const page = fitting.slice(start, start + (query.limit ?? INBOX_DEFAULT));
  const isOffline = waiting.offline !== undefined;
  const entries = await Promise.all(
    page.map(async (item) => indexEntry(item.message.envelope, await agent.judge(item, isOffline), item.receivedAt)),
  );
  const more = fitting.length - start - page.length;
  const last = page.at(-1);
  return {
    entries,
    ids: page.map(({ message }) => message.envelope.id),
    total: waiting.messages.length + waiting.behind,
    urgent: waiting.messages.filter((item) => priorityOf(item.message.envelope) === "urgent").length,
    fitting: fitting.length,
    more,
    first: start + 1,
    nextCursor: more > 0 && last ? cursorOf(last) : undefined,
    from: query.from,
    waiting,
  };
}

/** Index entries of some of the messages that wait on this machine. */
export async function entriesOf(agent: Agent, ids: readonly string[]): Promise<IndexEntry[]> {
  const { messages } = await agent.waitingOnDisk();
  const wanted = messages.filter(({ message }) => ids.includes(message.envelope.id));
  return Promise.all(
    wanted.map(async (item) => indexEntry(item.message.envelope, await agent.judge(item, false), item.receivedAt)),
  );
}

function fits(item: Item, { from, inReplyTo }: InboxQuery): boolean {
  if (from !== undefined && !isFrom(item, from)) return false;
  return inReplyTo === undefined || sameMessageId(item.message.envelope.in_reply_to ?? "", inReplyTo);
}

function isFrom({ message }: Item, wanted: string): boolean {
  const asked = parseAddress(wanted);
  const sender = parseAddress(message.envelope.from);
  if (asked === undefined || sender === undefined) return message.envelope.from.toLowerCase() === wanted.toLowerCase();
  return asked.provider === undefined ? asked.name === sender.name : asked.full === sender.full;
}

function cursorOf({ message, receivedAt }: Item): string {
  return `${priorityOf(message.envelope)}:${receivedAt}:${shownId(message.envelope.id)}`;
}

function startAfter(items: readonly Item[], cursor: string): number {
  const [, priority = "", at = "", id = ""] = /^(\w+):(\d+(?:\.\d+)?):(.+)$/s.exec(cursor) ?? [];
  const rank = PRIORITIES.map(String).indexOf(priority);
  if (rank < 0) {
    throw new AmpError("invalid_argument", {
      message: `cursor: expected the value that the previous amp_inbox gave, found "${oneLine(cursor, 60)}".`,
      notDone: "nothing was listed.",
      next: "Call amp_inbox without a cursor to start again.",
      mender: "caller",
    });
  }
  const isAfter = (item: Item) => {
    const own = PRIORITIES.indexOf(priorityOf(item.message.envelope));
    if (own !== rank) return own < rank;
    if (item.receivedAt !== Number(at)) return item.receivedAt > Number(at);
    return shownId(item.message.envelope.id) > id;
  };
  const found = items.findIndex(isAfter);
  return found < 0 ? items.length : found;
}
