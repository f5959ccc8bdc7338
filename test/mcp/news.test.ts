import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { messageFile, put } from "../support/agent.ts";
import {
  type Assistant,
  type Line,
  sentId,
  startAssistant,
  startRegistered,
  testHome,
  testProvider,
} from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { EXECUTABLE } from "../support/host.ts";
import { startMaestro } from "../support/maestro.ts";

const SENT = { to: "bob", subject: "SECRET SUBJECT", message: "M" };
const newsIn = (told: { lines: string[] }) => told.lines.filter((line) => line.startsWith("mail: "));

/** Waits until a server has brought to disk what it was sent; the line itself is what is tested. */
function arrived(assistant: Assistant, id: string) {
  const inbox = assistant.home.at(".agent-messaging", "agents", "bob", "messages", "inbox");
  return vi.waitFor(() => expect(existsSync(path.join(inbox, "alice_local_aimaestro_local", `${id}.json`))).toBe(true));
}

async function two(line: Line = "2026") {
  const { url } = await testProvider();
  const home = testHome();
  const alice = await startRegistered(url, "alice", { home, args: ["--agent", "alice"] });
  const bob = await startRegistered(url, "bob", { home, args: ["--agent", "bob"], line });
  return {
    url,
    home,
    alice,
    bob,
    send: async (more = {}) => sentId(await alice.call("amp_send", { ...SENT, ...more })),
  };
}

describe.each(["2026", "1.x"] as const)("a result, to a client of the line %s,", (line) => {
  it("says once that new mail has come, in counts, as text and as facts", async () => {
    const { bob, send } = await two(line);
    await send({ message: "1" });
    await arrived(bob, await send({ message: "2", priority: "urgent" }));
    const told = await bob.call("amp_status");
    expect(newsIn(told)).toEqual(["mail: 2 new, 1 urgent: amp_inbox"]);
    expect(told.structured?.mail).toBe("2 new, 1 urgent: amp_inbox");
    expect(told.text).not.toContain("SECRET");
    expect(newsIn(await bob.call("amp_status"))).toEqual([]);
    await arrived(bob, await send({ message: "3" }));
    expect(newsIn(await bob.call("amp_status"))).toEqual(["mail: 1 new: amp_inbox"]);
  });
});

describe("the line about new mail", () => {
  it("stands on the results of tools that fail, too, and never on those that deal with the mail", async () => {
    const { bob, send } = await two();
    const id = await send();
    await arrived(bob, id);
    const calls: [string, Record<string, unknown>][] = [
      ["amp_read", { message_ids: ["msg_0_nowhere"] }],
      ["amp_ack", { message_ids: ["msg_0_nowhere"] }],
      ["amp_inbox", { limit: 0 }],
    ];
    for (const [tool, args] of calls) expect(newsIn(await bob.call(tool, args))).toEqual([]);
    const failed = await bob.call("amp_send", { to: "nobody", subject: "S", message: "M" });
    expect([failed.isError, newsIn(failed)]).toEqual([true, ["mail: 1 new: amp_inbox"]]);
  });

  it("is not for what the assistant has listed, read or acknowledged itself", async () => {
    const { bob, send } = await two();
    await arrived(bob, await send({ message: "1" }));
    await bob.call("amp_inbox");
    expect(newsIn(await bob.call("amp_status"))).toEqual([]);
    const second = await send({ message: "2" });
    await arrived(bob, second);
    await bob.call("amp_read", { message_ids: [second] });
    expect(newsIn(await bob.call("amp_status"))).toEqual([]);
    const third = await send({ message: "3" });
    await arrived(bob, third);
    await bob.call("amp_ack", { message_ids: [third] });
    expect(newsIn(await bob.call("amp_status"))).toEqual([]);
  });

  it("is shown by one of two servers of an agent, its hook and its command line, whoever comes first", async () => {
    const { url, home, bob, send } = await two();
    const twin = await startAssistant(url, { home, args: ["--agent", "bob"] });
    const hook = async () =>
      (
        await run(["hook", "--host", "codex", "--agent", "bob"], {
          env: home.env,
          stdin: JSON.stringify({ hook_event_name: "UserPromptSubmit" }),
        })
      ).stdout;
    const listed = () => run(["inbox", "--agent", "bob"], { env: home.env });
    const status = async (who: Assistant) => newsIn(await who.call("amp_status")).join();
    const tellers: (() => Promise<unknown>)[] = [() => status(bob), () => status(twin), hook, listed];
    for (const [i, first] of tellers.entries()) {
      await arrived(bob, await send({ message: `${i}` }));
      expect(JSON.stringify(await first())).toMatch(/1 new|pending message/);
      for (const other of tellers.slice(0, 3)) expect(await other()).toBe("");
    }
  });

  it("goes to another server when the one that was about to tell has been killed", async () => {
    const { home, bob, send } = await two();
    const id = await send();
    await arrived(bob, id);
    const { pid } = spawnSync(process.execPath, ["-e", "0"]);
    // The ledger as a process leaves it that dies between claiming and telling.
    const telling = [[id, { pid, host: hostname(), at: Date.now() }]];
    const ledger = home.at(".agent-messaging", "agents", "bob", "announced.json");
    put(ledger, { version: 1, looked_at: Date.now(), told: [], telling, hooks: [] });
    expect(newsIn(await bob.call("amp_status"))).toEqual(["mail: 1 new: amp_inbox"]);
  });

  it("tells of mail that AI Maestro, or a script, has put on disk at this moment", async () => {
    const home = testHome();
    const maestro = await startMaestro({ version: "head", home: home.path });
    onTestFinished(() => maestro.close());
    const alice = await startRegistered(maestro.url, "alice", { home, args: ["--agent", "alice"] });
    const bob = await startRegistered(maestro.url, "bob", { home, args: ["--agent", "bob"] });
    await alice.call("amp_send", SENT);
    expect(newsIn(await bob.call("amp_status"))).toEqual(["mail: 1 new: amp_inbox"]);
    put(
      home.at(".agent-messaging", "agents", "bob", "messages", "inbox", "carol", "msg_9_x.json"),
      messageFile("msg_9_x"),
    );
    expect(newsIn(await bob.call("amp_status"))).toEqual(["mail: 1 new: amp_inbox"]);
  });
});

it("a status says how mail comes in, and by which ways this host is told", async () => {
  const { home, bob, send, url } = await two();
  const status = (who: Assistant) =>
    vi.waitFor(async () => {
      const { structured, text } = await who.call("amp_status");
      for (const word of ["receiving: ", "told of new mail by: "]) expect(text).toContain(word);
      expect(structured?.receiving).not.toMatch(/starting/);
      return structured;
    });
  expect((await status(bob))?.receiving).toBe("long-poll, and the disk");
  expect(await status(bob)).toMatchObject({
    told_by: ["a line on tool results", "amp_wait"],
    not_told_by: [
      expect.stringMatching(/^hook \(none/),
      expect.stringMatching(/^channel \(needs the 2025 protocol/),
      expect.stringContaining("amp://inbox"),
    ],
  });
  await arrived(bob, await send());
  await run(["hook", "--host", "codex", "--agent", "bob"], {
    env: home.env,
    stdin: JSON.stringify({ hook_event_name: "SessionStart" }),
    program: [process.execPath, EXECUTABLE],
  });
  const twin = await startAssistant(url, { home, args: ["--agent", "bob", "--channel"], line: "1.x" });
  const told = await status(twin);
  expect(told?.receiving).toMatch(/another process/);
  expect(told?.told_by).toContain("hook (codex, last just now)");
  expect(told?.told_by).toContain("channel (if Claude Code was started for it)");
});
