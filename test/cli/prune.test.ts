import { existsSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { messageFile, put } from "../support/agent.ts";
import { startRegistered, testProvider } from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { jsonFiles } from "../support/queue.ts";

const LONG_AGO = "2020-01-01T00:00:00.000Z";

async function hoarder() {
  const provider = await testProvider();
  const bob = await startRegistered(provider.url, "bob");
  const { home } = bob;
  const at = (...parts: string[]) => home.at(".agent-messaging", "agents", "bob", ...parts);
  const mail = (id: string, status: string, received_at = LONG_AGO, ...folders: string[]) =>
    put(
      at("messages", "inbox", ...(folders.length > 0 ? folders : ["carol"]), `${id}.json`),
      messageFile(id, { metadata: { status }, local: { status, received_at } }),
    );
  const amp = async (...args: string[]) => {
    const { code, stdout, stderr } = await run(["prune", ...args], { env: home.env });
    return { code, stdout, stderr };
  };
  return { provider, bob, home, at, mail, amp };
}

it("prune removes acknowledged messages that are old, in each of their copies; not what waits, is young or was sent", async () => {
  const { bob, home, at, mail, amp } = await hoarder();
  await bob.call("amp_send", { to: "bob", subject: "S", message: "M" });
  await bob.call("amp_inbox");
  const files = {
    read: mail("msg_1_read", "read"),
    copy: mail("msg_1_read", "read", LONG_AGO, "elsewhere"),
    archived: mail("msg_2_archived", "archived"),
    unread: mail("msg_3_unread", "unread"),
    young: mail("msg_4_young", "read", new Date().toISOString()),
    half: mail("msg_5_half", "read"),
    otherHalf: mail("msg_5_half", "unread", LONG_AGO, "elsewhere"),
    torn: put(at("messages", "inbox", "carol", "msg_6_torn.json"), "{"),
    sent: put(at("messages", "sent", "carol", "msg_7_sent.json"), messageFile("msg_7_sent")),
    ledger: put(at("known_keys.json"), {}, 0o600),
  };
  const there = () => Object.entries(files).flatMap(([name, file]) => (existsSync(file) ? [name] : []));
  const all = there();
  const dry = await amp("--older-than", "30d", "--dry-run", "--json");
  const told = JSON.parse(dry.stdout);
  expect(told.removed).toEqual([]);
  expect(told.would_remove.sort()).toEqual([files.read, files.copy, files.archived].sort());
  expect(there()).toEqual(all);
  const text = await amp("--older-than", "30d");
  expect([text.code, there()]).toEqual([0, all.filter((name) => !["read", "copy", "archived"].includes(name))]);
  expect(text.stdout).toContain("Removed 3 files");
  expect(JSON.parse((await amp("--older-than", "30d", "--json")).stdout)).toMatchObject({ removed: [] });
  expect(jsonFiles(at("messages", "sent"))).toHaveLength(2);
  const inbox = await run(["inbox", "--json"], { env: home.env });
  expect(JSON.parse(inbox.stdout)).toMatchObject({ pending: 2 });
});

it("without an age prune removes nothing: keeping is the default", async () => {
  const { mail, amp } = await hoarder();
  const file = mail("msg_1_read", "read");
  for (const args of [
    [],
    ["--older-than", ""],
    ["--older-than", "30"],
    ["--older-than", "-1d"],
    ["--older-than", "1y"],
  ]) {
    expect(await amp(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining("everything is kept") });
  }
  expect(existsSync(file)).toBe(true);
});

it("prune keeps what a script marked read while it still waits in the provider's queue, reachable or not", async () => {
  const { provider, bob, at, mail, amp } = await hoarder();
  await bob.call("amp_send", { to: "bob", subject: "S", message: "M" });
  await bob.call("amp_inbox");
  const [name = ""] = jsonFiles(at("messages", "inbox"));
  const file = at("messages", "inbox", name);
  const id = path.basename(name, ".json");
  const local = { delivery_method: "relay", fetched_from: `${provider.url}/api/v1`, received_at: LONG_AGO };
  put(
    file,
    messageFile(
      id,
      { metadata: { status: "read" }, local: { ...local, status: "read", expires_at: "2099-01-01T00:00:00Z" } },
      { from: "bob@local.aimaestro.local" },
    ),
  );
  const old = mail("msg_1_read", "read");
  await amp("--older-than", "1h", "--dry-run");
  expect(JSON.parse((await amp("--older-than", "1h", "--dry-run", "--json")).stdout).would_remove).toEqual([old]);
  await provider.close();
  expect((await amp("--older-than", "1h")).code).toBe(0);
  expect([existsSync(file), existsSync(old)]).toEqual([true, false]);
});
