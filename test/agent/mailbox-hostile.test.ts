import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { messageFile, put, tree } from "../support/agent.ts";
import { bobAt, idsOf, item, jsonFiles, startQueue } from "../support/queue.ts";

describe("files that are no messages", () => {
  it.each([
    ["empty", ""],
    ["half-written", '{"envelope":{"id":"msg_1_'],
    ["no object", "[]"],
    ["no envelope", '{"payload":{}}'],
    ["no sender", '{"envelope":{"id":"x"}}'],
  ])("are counted, left as they are, and hide no other: %s", async (_, content) => {
    const queue = await startQueue(item("msg_2_b"));
    const { inbox, bob } = bobAt(queue.url);
    const file = put(path.join(inbox, "x", "msg_1_a.json"), content);
    put(path.join(inbox, "x", "msg_3_c.json"), messageFile("msg_3_c"));
    const waiting = await bob.waiting();
    expect([idsOf(waiting).sort(), waiting.unreadable]).toEqual([["msg_2_b", "msg_3_c"], 1]);
    expect(readFileSync(file, "utf8")).toBe(content);
    writeFileSync(file, JSON.stringify(messageFile("msg_1_a")));
    expect(await bob.waiting()).toMatchObject({ unreadable: 0 });
    expect(idsOf(await bob.waiting())).toContain("msg_1_a");
  });

  it("under the very name that a message needs do not keep it from being kept", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { inbox, bob } = bobAt(queue.url);
    const file = put(path.join(inbox, "alice_testorg_aimaestro_local", "msg_1_a.json"), "{");
    expect(idsOf(await bob.waiting())).toEqual(["msg_1_a"]);
    expect(readFileSync(file, "utf8")).toBe("{");
  });

  it("nor do directories, links in circles, dangling links and temporary files", async () => {
    const queue = await startQueue(item("msg_2_b"));
    const { inbox, bob } = bobAt(queue.url);
    mkdirSync(path.join(inbox, "x", "dir.json"), { recursive: true });
    symlinkSync("circle.json", path.join(inbox, "circle.json"));
    symlinkSync("nowhere.json", path.join(inbox, "x", "dangling.json"));
    symlinkSync("round", path.join(inbox, "round"));
    put(path.join(inbox, "x", ".123.abc.tmp"), "half");
    put(path.join(inbox, "x", "notes.txt"), "mine");
    put(path.join(inbox, "README"), "mine");
    expect(idsOf(await bob.waiting())).toEqual(["msg_2_b"]);
  });
});

describe("ids that a sender or a provider makes up", () => {
  const IDS = [
    "../../../../escape",
    "..",
    ".",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    "CON",
    "nul",
    "com1",
    ".hidden",
    "-rf",
    "x".repeat(300),
    "ключ-✓-🙂",
    "a\u202eb",
    "line\nbreak",
    "null\0byte",
    "msg_A",
    "msg_a",
    "  ",
    "__proto__",
    "constructor",
    "%2e%2e%2f",
    "x.json",
  ];

  it("stay in the inbox, are readable by their id and acknowledged one by one", async () => {
    const queue = await startQueue(...IDS.map((id) => item(id)));
    const { root, inbox, bob } = bobAt(queue.url);
    const before = tree(path.dirname(root)).filter((file) => !file.includes("messages"));
    const waiting = await bob.waiting();
    expect(idsOf(waiting).sort()).toEqual([...IDS].sort());
    expect(tree(path.dirname(root)).filter((file) => !file.includes("messages"))).toEqual(before);
    const files = jsonFiles(inbox);
    expect(files).toHaveLength(IDS.length);
    for (const file of files)
      expect(file).toMatch(/^alice_testorg_aimaestro_local[/\\][A-Za-z0-9][A-Za-z0-9_-]{0,127}\.json$/);
    for (const id of IDS) {
      expect((await bob.read([id]))[0]?.stored.message.envelope.id).toBe(id);
      expect(await bob.acknowledge([id]), JSON.stringify(id)).toMatchObject({ acknowledged: [id] });
    }
    expect([queue.items, idsOf(await bob.waiting())]).toEqual([[], []]);
  });

  it.each(["../../../escape", "..", "/abs", "a/../../b", "\\\\host\\share", "x".repeat(500), "\0", "🙂"])(
    "also senders' addresses stay in the inbox: %j",
    async (from) => {
      const queue = await startQueue(item("msg_1_a", { from }));
      const { inbox, bob } = bobAt(queue.url);
      expect(idsOf(await bob.waiting())).toEqual(["msg_1_a"]);
      expect(jsonFiles(inbox)).toEqual([expect.stringMatching(/^[A-Za-z0-9_-]{1,200}[/\\]msg_1_a\.json$/)]);
    },
  );

  it("two that differ in the case of letters are two messages, also where the file system sees one name", async () => {
    const queue = await startQueue(item("msg_1_A"), item("msg_1_a"));
    const { inbox, bob } = bobAt(queue.url);
    const folder = path.join(inbox, "alice_testorg_aimaestro_local");
    put(path.join(folder, "msg_1_A.json"), messageFile("msg_1_a"));
    expect(idsOf(await bob.waiting()).sort()).toEqual(["msg_1_A", "msg_1_a"]);
    expect(readdirSync(folder)).toHaveLength(2);
  });
});

describe("the directory", () => {
  it("that vanishes under a running agent is no crash, and what comes is kept again", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { inbox, bob } = bobAt(queue.url);
    await bob.waiting();
    rmSync(inbox, { recursive: true });
    expect(idsOf(await bob.waiting())).toEqual(["msg_1_a"]);
    expect(existsSync(inbox)).toBe(true);
  });
});
