import { readdirSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createHome, type Home } from "../support/home.ts";
import { type Host, type Message, startHost } from "../support/host.ts";

/**
 * What real hosts said to a server, line by line, replayed. A file holds one session or several; the process that the
 * host started ended with each.
 */
interface Session {
  messages: Message[];
  /** What the host did to end it, in order. */
  stops: ("stdin" | NodeJS.Signals)[];
}
interface Line {
  message?: Message;
  event?: { ev: string; sig?: NodeJS.Signals | null };
}

const recordings = new URL("../vectors/hosts/", import.meta.url);
/** How long the hosts with the least patience wait before they send the next signal. */
const EXIT_WITHIN_MS = 100;

let home: Home;
let host: Host | undefined;
beforeEach(() => {
  home = createHome();
});
afterEach(async () => {
  await host?.close();
  host = undefined;
  home.remove();
});

describe.each(readdirSync(recordings).filter((file) => file.endsWith(".jsonl")))("%s", (file) => {
  it.each(sessions(file).map((session, i) => ({ session, number: i + 1 })))(
    "session $number is answered in order, and ends as it did",
    // A machine that is busy for a moment may cost the 100 ms once; a server that is slow misses them every time.
    { retry: 2 },
    async ({ session }) => {
      const server = startHost({ env: home.env, cwd: home.path });
      host = server;
      await replay(server, session.messages);
      const ids = session.messages.filter((message) => !isListen(message) && "id" in message).map(({ id }) => id);
      const answers = server.messages.filter((message) => !("method" in message));
      expect(answers.map(({ id }) => id)).toEqual(ids);
      expect(answers.filter((answer) => !("result" in answer))).toEqual([]);

      for (const stop of session.stops) {
        if (stop === "stdin") server.closeStdin();
        else server.signal(stop);
      }
      const exit = await server.exited;
      expect(exit).toMatchObject({ code: 0, signal: null });
      expect(exit.elapsedMs).toBeLessThan(EXIT_WITHIN_MS);
    },
  );
});

/** As a host does it: the handshake first, then all the rest without waiting. */
async function replay(server: Host, messages: readonly Message[]) {
  for (const message of messages) {
    // Hosts cancel what has been answered already; sent sooner, it would be another test.
    if (message.method === "notifications/cancelled") await server.answerTo(cancelledId(message));
    server.send(message);
    if (message === messages[0]) await server.answerTo(message.id);
  }
  for (const message of messages) {
    if (!("id" in message)) continue;
    if (isListen(message)) await server.waitFor((sent) => sent.method === "notifications/subscriptions/acknowledged");
    else await server.answerTo(message.id);
  }
}

/** Answered by a notification at once, and by a result only when the subscription ends. */
function isListen(message: Message): boolean {
  return message.method === "subscriptions/listen";
}

function cancelledId({ params }: Message): unknown {
  return typeof params === "object" && params !== null && "requestId" in params ? params.requestId : undefined;
}

function sessions(file: string): Session[] {
  const found: Session[] = [];
  let open: Session = { messages: [], stops: [] };
  for (const text of readFileSync(new URL(file, recordings), "utf8").trim().split("\n")) {
    const { message, event }: Line = JSON.parse(text);
    if (message) open.messages.push(message);
    if (event?.ev === "stdin-end") open.stops.push("stdin");
    if (event?.ev === "signal" && event.sig) open.stops.push(event.sig);
    if (event?.ev === "server-exit") {
      found.push(open);
      open = { messages: [], stops: [] };
    }
  }
  return found;
}
