import { readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { failure, messageFile, put, readJson, startAgent } from "../support/agent.ts";
import { bobAt, ID, idsOf, item, jsonFiles, startQueue } from "../support/queue.ts";

describe("what waits", () => {
  it("is the union of the queue and every inbox that tools file into, one entry an id", async () => {
    const queue = await startQueue(item("msg_1_queue"), item("msg_2_both"));
    const { root, inbox, bob } = bobAt(queue.url);
    const indexed = path.join(root, "agents", "indexed-directory", "messages", "inbox");
    const byId = path.join(root, "agents", ID, "messages", "inbox");
    put(path.join(root, "agents", ".index.json"), { bob: "indexed-directory" });
    put(path.join(inbox, "carol_testorg", "msg_3_nested.json"), messageFile("msg_3_nested"));
    put(path.join(inbox, "msg_4_flat.json"), messageFile("msg_4_flat"));
    put(path.join(indexed, "carol", "msg_5_indexed.json"), messageFile("msg_5_indexed"));
    put(path.join(byId, "carol", "msg_6_id.json"), messageFile("msg_6_id"));
    for (const folder of [inbox, indexed, byId])
      put(path.join(folder, "x", "msg_2_both.json"), messageFile("msg_2_both"));
    const waiting = await bob.waiting();
    expect(idsOf(waiting).sort()).toEqual([
      "msg_1_queue",
      "msg_2_both",
      "msg_3_nested",
      "msg_4_flat",
      "msg_5_indexed",
      "msg_6_id",
    ]);
    expect(waiting).toMatchObject({ unreadable: 0, behind: 0, offline: undefined });
  });

  it("is on disk before it is shown, whole, and listing changes nothing", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { inbox, bob } = bobAt(queue.url);
    const first = idsOf(await bob.waiting());
    const file = path.join(inbox, "alice_testorg_aimaestro_local", "msg_1_a.json");
    const content = readFileSync(file, "utf8");
    expect(readJson(file)).toMatchObject({
      envelope: queue.items[0]?.envelope,
      payload: queue.items[0]?.payload,
      metadata: { status: "unread" },
      local: { status: "unread", fetched_from: `${queue.url}/api/v1` },
    });
    for (let i = 0; i < 3; i++) expect(idsOf(await bob.waiting())).toEqual(first);
    expect(readFileSync(file, "utf8")).toBe(content);
    expect([queue.items.length, queue.acknowledged]).toEqual([1, []]);
  });

  it("is once in a directory that has several names", async () => {
    const queue = await startQueue();
    const { root, inbox, bob } = bobAt(queue.url);
    symlinkSync("bob", path.join(root, "agents", ID));
    put(path.join(root, "agents", ".index.json"), { bob: ID });
    put(path.join(inbox, "x", "msg_1_a.json"), messageFile("msg_1_a"));
    expect(idsOf(await bob.waiting())).toEqual(["msg_1_a"]);
  });

  it("comes most urgent first, then oldest, unknown priorities as normal", async () => {
    const queue = await startQueue();
    const { inbox, bob } = bobAt(queue.url);
    const mail = (id: string, priority: string, day: number) =>
      put(path.join(inbox, "x", `${id}.json`), {
        ...messageFile(id, { local: { received_at: `2030-01-0${day}T00:00:00Z` } }, { priority }),
      });
    mail("low-old", "low", 1);
    mail("normal-new", "normal", 5);
    mail("odd-old", "whatever", 2);
    mail("urgent-new", "urgent", 6);
    mail("high", "high", 3);
    mail("urgent-old", "urgent", 4);
    expect(idsOf(await bob.waiting())).toEqual([
      "urgent-old",
      "urgent-new",
      "high",
      "odd-old",
      "normal-new",
      "low-old",
    ]);
  });

  it("does not hold what was read or archived by another tool, whichever field it writes", async () => {
    const queue = await startQueue();
    const { inbox, bob } = bobAt(queue.url);
    put(path.join(inbox, "x", "a.json"), messageFile("a", { local: { status: "read" } }));
    put(path.join(inbox, "x", "b.json"), messageFile("b", { local: {}, metadata: { status: "read" } }));
    put(path.join(inbox, "x", "c.json"), messageFile("c", { local: { status: "archived" }, metadata: {} }));
    put(path.join(inbox, "x", "d.json"), messageFile("d", { local: undefined, metadata: undefined }));
    expect(idsOf(await bob.waiting())).toEqual(["d"]);
  });

  it("holds a message to ourselves also when its sent copy was looked at before", async () => {
    const queue = await startQueue();
    const { inbox, bob } = bobAt(queue.url);
    put(path.join(inbox, "..", "sent", "x", "msg_1_a.json"), messageFile("msg_1_a"));
    expect((await bob.read(["msg_1_a"]))[0]?.stored.message.envelope.id).toBe("msg_1_a");
    queue.items.push(item("msg_1_a"));
    expect(idsOf(await bob.waiting())).toEqual(["msg_1_a"]);
    expect(jsonFiles(inbox)).toHaveLength(1);
    expect(await bob.acknowledge(["msg_1_a"])).toMatchObject({ acknowledged: ["msg_1_a"], alreadyGone: [] });
  });

  it("may be a thousand messages on disk, and a queue of more than a page", async () => {
    const queue = await startQueue(...Array.from({ length: 130 }, (_, i) => item(`msg_${1000 + i}_q`)));
    const { inbox, bob } = bobAt(queue.url);
    for (let i = 0; i < 1000; i++) put(path.join(inbox, `from_${i % 7}`, `msg_${i}_d.json`), messageFile(`msg_${i}_d`));
    const waiting = await bob.waiting();
    expect([waiting.messages.length, waiting.behind]).toEqual([1130, 0]);
    expect(idsOf(await bob.waiting())).toEqual(idsOf(waiting));
  });
});

describe("a provider that does not answer", () => {
  it("leaves what was seen before, marked as all that is known", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { root, inbox, bob } = bobAt(queue.url);
    put(path.join(inbox, "x", "msg_2_b.json"), messageFile("msg_2_b"));
    await bob.waiting();
    await queue.close();
    const later = startAgent({ root });
    const waiting = await later.waiting();
    expect(idsOf(waiting).sort()).toEqual(["msg_1_a", "msg_2_b"]);
    expect(waiting.offline?.code).toBe("unreachable");
    expect((await later.acknowledge(["msg_1_a", "msg_2_b"])).error?.code).toBe("unreachable");
    expect(idsOf(await later.waiting())).toContain("msg_1_a");
  });

  it("does not keep a message of the disk from being acknowledged", async () => {
    const queue = await startQueue();
    const { inbox, bob } = bobAt(queue.url);
    put(path.join(inbox, "x", "msg_2_b.json"), messageFile("msg_2_b"));
    await queue.close();
    expect(await bob.acknowledge(["msg_2_b"])).toMatchObject({ acknowledged: ["msg_2_b"], error: undefined });
  });

  it("and a message that is nowhere is an error of the provider, not an unknown message", async () => {
    const queue = await startQueue();
    const { bob } = bobAt(queue.url);
    await queue.close();
    expect((await failure(bob.read(["msg_9_z"]))).code).toBe("unreachable");
  });

  it("refusing our key is asked again with the key that another program has put there", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { directory, bob } = bobAt(queue.url);
    expect(idsOf(await bob.waiting())).toEqual(["msg_1_a"]);
    queue.key = "amp_live_sk_renewed";
    const refused = await bob.waiting();
    expect([refused.offline?.code, idsOf(refused)]).toEqual(["unauthorized", ["msg_1_a"]]);
    put(path.join(directory, "api_key"), "amp_live_sk_renewed\n");
    expect((await bob.waiting()).offline).toBeUndefined();
    queue.key = "amp_live_sk_third";
    put(path.join(directory, "api_key"), "amp_live_sk_third\n");
    expect(await bob.acknowledge("all")).toMatchObject({ acknowledged: ["msg_1_a"] });
  });
});

describe("acknowledging", () => {
  it("takes a message off the queue and keeps its copy, read for every tool", async () => {
    const queue = await startQueue(item("msg_1_a"), item("msg_2_b"));
    const { inbox, bob } = bobAt(queue.url);
    await bob.waiting();
    const [file = ""] = jsonFiles(inbox).filter((name) => name.includes("msg_1_a"));
    const before = readJson(inbox, file);
    expect(await bob.acknowledge(["msg_1_a"])).toMatchObject({
      acknowledged: ["msg_1_a"],
      unknown: [],
      error: undefined,
    });
    expect(queue.acknowledged).toEqual(["msg_1_a"]);
    const after = readJson(inbox, file);
    expect(after).toMatchObject({ metadata: { status: "read" }, local: { status: "read" } });
    expect([after.envelope, after.payload]).toEqual([before.envelope, before.payload]);
    expect(idsOf(await bob.waiting())).toEqual(["msg_2_b"]);
    expect((await bob.read(["msg_1_a"]))[0]?.stored.status).toBe("read");
  });

  it("works on a message of the queue that was never listed here", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { bob } = bobAt(queue.url);
    expect(await bob.acknowledge(["msg_1_a"])).toMatchObject({ acknowledged: ["msg_1_a"] });
    expect(queue.items).toEqual([]);
  });

  it("marks a message of the disk read, keeps its other members and its mode", async () => {
    const queue = await startQueue();
    const { inbox, bob } = bobAt(queue.url);
    const file = put(path.join(inbox, "x", "msg_1_a.json"), messageFile("msg_1_a", { odd: [1], local: { mine: 1 } }));
    expect(await bob.acknowledge(["msg_1_a"])).toMatchObject({ acknowledged: ["msg_1_a"] });
    expect(readJson(file)).toMatchObject({
      odd: [1],
      metadata: { status: "read" },
      local: { mine: 1, status: "read" },
    });
    expect(queue.acknowledged).toEqual([]);
  });

  it("twice says that it was gone, and an id that never was is unknown", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { inbox, bob } = bobAt(queue.url);
    put(path.join(inbox, "x", "msg_2_b.json"), messageFile("msg_2_b"));
    await bob.acknowledge(["msg_1_a", "msg_2_b"]);
    expect(await bob.acknowledge(["msg_1_a", "msg_2_b", "msg_3_c", "msg_3_c"])).toEqual({
      acknowledged: [],
      alreadyGone: ["msg_1_a", "msg_2_b"],
      unknown: ["msg_3_c"],
      failed: [],
      error: undefined,
    });
  });

  it("all takes everything that waits", async () => {
    const queue = await startQueue(item("msg_1_a"), item("msg_2_b"));
    const { inbox, bob } = bobAt(queue.url);
    put(path.join(inbox, "x", "msg_3_c.json"), messageFile("msg_3_c"));
    expect((await bob.acknowledge("all")).acknowledged.sort()).toEqual(["msg_1_a", "msg_2_b", "msg_3_c"]);
    expect([queue.items, idsOf(await bob.waiting())]).toEqual([[], []]);
  });

  it("in a second window takes off the queue what the first one has kept, also under another URL of the provider", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { root, bob } = bobAt(queue.url);
    await bob.waiting();
    const second = startAgent({ root, provider: queue.url.replace("127.0.0.1", "localhost") });
    expect(await second.acknowledge(["msg_1_a"])).toMatchObject({ acknowledged: ["msg_1_a"] });
    expect(queue.items).toEqual([]);
    expect(idsOf(await second.waiting())).toEqual([]);
  });

  it("takes off the queue also what another tool has put on disk before us", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { inbox, bob } = bobAt(queue.url);
    put(path.join(inbox, "alice_testorg_aimaestro_local", "msg_1_a.json"), messageFile("msg_1_a"));
    expect(await bob.acknowledge(["msg_1_a"])).toMatchObject({ acknowledged: ["msg_1_a"] });
    expect(queue.items).toEqual([]);
    expect(idsOf(await bob.waiting())).toEqual([]);
  });
});

describe("a kept copy", () => {
  it("stops waiting when another tool acknowledged the message at the provider", async () => {
    const queue = await startQueue(item("msg_1_a"), item("msg_2_b"));
    const { bob } = bobAt(queue.url);
    await bob.waiting();
    queue.items.shift();
    expect(idsOf(await bob.waiting())).toEqual(["msg_2_b"]);
    expect((await bob.read(["msg_1_a"]))[0]?.stored.status).toBe("read");
  });

  it("still waits when its entry expired at the provider: nobody has dealt with it", async () => {
    const queue = await startQueue(item("msg_1_a", {}, { expires_at: "2030-01-08T00:00:00.000Z" }));
    const { root, bob } = bobAt(queue.url);
    await bob.waiting();
    queue.items = [];
    const later = startAgent({ root, now: () => Date.parse("2030-01-09T00:00:00.000Z") });
    expect(idsOf(await later.waiting())).toEqual(["msg_1_a"]);
    expect(await later.acknowledge(["msg_1_a"])).toMatchObject({ failed: [], error: undefined });
    expect(idsOf(await later.waiting())).toEqual([]);
  });

  it("still waits when another provider is asked, which never had it", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { root, bob } = bobAt(queue.url);
    await bob.waiting();
    const other = await startQueue();
    const elsewhere = startAgent({ root, provider: other.url });
    expect(idsOf(await elsewhere.waiting())).toEqual(["msg_1_a"]);
    expect(idsOf(await bob.waiting())).toEqual(["msg_1_a"]);
  });

  it("still waits while more is in the queue than the provider shows", async () => {
    const queue = await startQueue(item("msg_0_first"));
    queue.keepsAll = true;
    const { bob } = bobAt(queue.url);
    await bob.waiting();
    queue.items = Array.from({ length: 130 }, (_, i) => item(`msg_${i + 1000}_q`));
    expect(idsOf(await bob.waiting())).toContain("msg_0_first");
  });

  it("is not changed when the same id comes again with another text", async () => {
    const queue = await startQueue(item("msg_1_a"));
    const { bob } = bobAt(queue.url);
    await bob.waiting();
    queue.items = [item("msg_1_a", {}, { payload: { message: "changed" } })];
    expect((await bob.waiting()).messages[0]?.message.raw.payload.message).toBe("Text of msg_1_a");
  });
});
