import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { isObject, parseJson } from "../../src/wire/json.ts";
import { BURST, LONG_POLL } from "../../src/wire/limits.ts";
import { failure, messageFile, put, scratchRoot } from "../support/agent.ts";
import { COUNTS, json, LONG_POLLS, MAESTRO, NotifyQueue } from "../support/notify-queue.ts";
import { expectPauses, FAILING, holding, IDLE, watchReceiver } from "../support/receiver.ts";

const SENDER = "alice_testorg_aimaestro_local";

describe("how mail comes is chosen by what the provider lists", () => {
  it.each([
    ["long-poll", LONG_POLLS],
    ["long-poll", ["notify:longpoll", ...MAESTRO]],
    ["count", [...MAESTRO, "notify:v1"]],
    ["poll", MAESTRO],
    ["poll", ["websockets", ...MAESTRO]],
    ["poll", ["NOTIFY:LONGPOLL", "notify:v2", ""]],
    ["poll", []],
    ["poll", "notify:longpoll"],
    ["poll", { "notify:longpoll": true }],
    ["poll", [["notify:longpoll"], 7, null]],
    ["poll", null],
    ["poll", undefined],
  ] as const)("%s: %j", async (way, capabilities) => {
    const queue = new NotifyQueue(capabilities);
    queue.put("msg_1_a");
    const { receiver, round, kept, told } = await watchReceiver(queue);
    expect(receiver.way).toBeUndefined();
    await round();
    expect([receiver.way, kept(), told(), receiver.problem]).toEqual([way, ["msg_1_a"], 1, undefined]);
  });

  it.each([
    ["fails", json(503, { error: "starting" })],
    ["is an HTML page", { act: "answer", status: 200, body: "<html></html>" }],
    ["is empty", { act: "answer", status: 200 }],
    ["is no object", json(200, ["notify:longpoll"])],
    ["leads elsewhere", { act: "answer", status: 302, headers: { location: "http://192.0.2.2/" } }],
    ["breaks off", { act: "cut-short" }],
    ["does not end", { act: "endless" }],
  ] as const)("the queue is asked for while /info %s, and /info again until it says something", async (_, act) => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.instead = ({ what }) => (what === "info" ? act : undefined);
    queue.put("msg_1_a");
    const { receiver, rounds, round, kept } = await watchReceiver(queue);
    const [news, idle = 0] = await rounds(2);
    expect([news, receiver.way, kept()]).toEqual([0, "poll", ["msg_1_a"]]);
    expectPauses([idle], [1000]);
    queue.instead = () => undefined;
    queue.put("msg_2_b");
    await round();
    expect([receiver.way, kept()]).toEqual(["long-poll", ["msg_1_a", "msg_2_b"]]);
    expect(queue.asked.filter((asked) => asked === "info")).toHaveLength(3);
  });

  it("anew when it failed: it may be another provider, or another version, that comes back", async () => {
    const queue = new NotifyQueue(MAESTRO);
    const { receiver, round, kept } = await watchReceiver(queue);
    const ways: unknown[] = [];
    for (const [i, capabilities] of [MAESTRO, LONG_POLLS, COUNTS, undefined].entries()) {
      queue.instead = () => json(502, "<html>");
      if (i > 0) await round();
      queue.capabilities = capabilities;
      queue.instead = () => undefined;
      queue.put(`msg_${i}_a`);
      await round();
      ways.push(receiver.way);
    }
    expect(ways).toEqual(["poll", "long-poll", "count", "poll"]);
    expect(kept()).toEqual(["msg_0_a", "msg_1_a", "msg_2_a", "msg_3_a"]);
  });
});

describe("a provider that holds a request", () => {
  it("is asked for the whole queue once, then for what comes after, for no longer than the protocol's 30 s", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.put("msg_1_a");
    const { watched, held } = await holding(queue);
    expect(watched.kept()).toEqual(["msg_1_a"]);
    queue.put("msg_2_b");
    expect(await held).toBe(0);
    expect(watched.kept()).toEqual(["msg_1_a", "msg_2_b"]);
    expect(queue.asked).toEqual(["info", "count", "pending", "pending after=1.1 wait=25"]);
    expect(watched.told()).toBe(2);
  });

  it("is asked again at once when the time was over, for as long as nothing comes", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    const { watched, held } = await holding(queue);
    const over = (): Promise<void> => {
      watched.clock.at += LONG_POLL;
      queue.release();
      return queue.next("held");
    };
    let present = held;
    for (let i = 0; i < 3 * BURST; i++) {
      const next = over();
      expect(await present).toBe(0);
      present = watched.round();
      await next;
    }
    expect(watched.told()).toBe(0);
    expect(new Set(queue.asked.slice(3))).toEqual(new Set(["pending after=1.0 wait=25"]));
  });

  it("that has more than a page is asked for the rest of it at once", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.pageSize = 2;
    queue.put("msg_1_a", "msg_2_b", "msg_3_c", "msg_4_d", "msg_5_e");
    const { rounds, kept } = await watchReceiver(queue);
    expect(await rounds(3)).toEqual([0, 0, 0]);
    expect(kept()).toHaveLength(5);
    expect(queue.asked.slice(2)).toEqual(["pending", "pending after=1.2 wait=25", "pending after=1.4 wait=25"]);
  });

  it("whose cursors expire is asked from the start, and nothing that came meanwhile is lost", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.put("msg_1_a");
    const { watched, held } = await holding(queue);
    queue.expireCursors();
    queue.put("msg_2_b");
    expectPauses([await held], [1000]);
    queue.put("msg_3_c");
    expect(await watched.round()).toBe(0);
    expect(watched.kept()).toEqual(["msg_1_a", "msg_2_b", "msg_3_c"]);
    expect(queue.asked.slice(-3)).toEqual(["pending after=1.1 wait=25", "count", "pending"]);
  });

  it("whose cursors are always expired is asked less and less often, and its mail comes nevertheless", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.instead = ({ after }) => (after === null ? undefined : json(410, { error: "cursor_expired" }));
    const { rounds, round, kept } = await watchReceiver(queue);
    const pauses = await rounds(2 * FAILING.length);
    expectPauses(
      pauses.filter((_, i) => i % 2 === 1),
      FAILING,
    );
    queue.put("msg_1_a");
    await round();
    expect(kept()).toEqual(["msg_1_a"]);
  });
});

describe("a provider that counts", () => {
  it("is asked for messages only when the count says that something is new", async () => {
    const queue = new NotifyQueue(COUNTS);
    queue.put("msg_1_a");
    const { round, rounds, kept } = await watchReceiver(queue);
    await rounds(4);
    queue.put("msg_2_b");
    expect(await round()).toBe(0);
    expect(kept()).toEqual(["msg_1_a", "msg_2_b"]);
    const pages = queue.asked.filter((asked) => asked.startsWith("pending"));
    expect(pages).toEqual(["pending", "pending after=1.1"]);
  });

  it("slower the longer nothing comes, and quickly again after news or while somebody waits", async () => {
    const queue = new NotifyQueue(COUNTS);
    const { round, rounds, receiver } = await watchReceiver(queue);
    expectPauses(await rounds(IDLE.length), IDLE);
    receiver.activity();
    expectPauses(await rounds(2), IDLE.slice(0, 2));
    queue.put("msg_1_a");
    expect(await round()).toBe(0);
    expectPauses(await rounds(2), IDLE.slice(0, 2));
  });

  it("and has more than a page is asked for the rest at once", async () => {
    const queue = new NotifyQueue(COUNTS);
    queue.pageSize = 2;
    queue.put("msg_1_a", "msg_2_b", "msg_3_c", "msg_4_d", "msg_5_e");
    const { rounds, kept } = await watchReceiver(queue);
    expect(await rounds(3)).toEqual([0, 0, 0]);
    expect(kept()).toHaveLength(5);
  });
});

describe("a message is one message", () => {
  it("twice in a page, in another order, and again after the cursors expired", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.put("msg_2_b", "msg_1_a", "msg_2_b");
    const watched = await watchReceiver(queue);
    await watched.round();
    queue.reverse();
    queue.expireCursors();
    await watched.rounds(2);
    expect([watched.kept(), watched.told()]).toEqual([["msg_1_a", "msg_2_b"], 1]);
  });

  it("by the queue of one way, then of another, then on disk already", async () => {
    const root = scratchRoot();
    const files: string[][] = [];
    for (const capabilities of [MAESTRO, COUNTS, LONG_POLLS]) {
      const queue = new NotifyQueue(capabilities);
      put(path.join(root, "agents", "bob", "messages", "inbox", SENDER, "msg_9_z.json"), messageFile("msg_9_z"));
      queue.put("msg_1_a", "msg_9_z");
      const { round, kept } = await watchReceiver(queue, { root });
      await round();
      files.push(kept());
    }
    expect(files).toEqual([files[0], files[0], files[0]]);
    expect(files[0]).toEqual(["msg_1_a", "msg_9_z"]);
  });

  it("and is not written again when another process of this machine marks it meanwhile", async () => {
    const queue = new NotifyQueue(MAESTRO);
    queue.put("msg_1_a");
    const { round, inbox, told } = await watchReceiver(queue);
    await round();
    const file = path.join(inbox, SENDER, "msg_1_a.json");
    put(file, { ...messageFile("msg_1_a"), local: { status: "read" } });
    await round();
    const kept = parseJson(readFileSync(file, "utf8"));
    expect([isObject(kept) && kept.local, told()]).toEqual([{ status: "read" }, 1]);
  });
});

describe("receiving", () => {
  it.each([
    ["long-poll", LONG_POLLS],
    ["count", COUNTS],
    ["poll", MAESTRO],
  ])("ends when the API key is refused: %s", async (_, list) => {
    const queue = new NotifyQueue(list);
    queue.instead = ({ what }) => (what === "info" ? undefined : json(401, { error: "unauthorized" }));
    const { ended, receiver } = await watchReceiver(queue);
    expect((await failure(ended)).code).toBe("unauthorized");
    expect(receiver.problem?.code).toBe("unauthorized");
  });

  it("ends while a request is held, when it is no longer wanted", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    const { watched } = await holding(queue);
    watched.stop();
    await expect(watched.ended).resolves.toBeUndefined();
    expect(watched.receiver.problem).toBeUndefined();
  });

  it("keeps what is a message, and leaves what is none where it is", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.put("msg_1_a", null, 7, "msg_2_b", { envelope: { from: "x" } }, { id: "x" }, ["y"]);
    const { rounds, kept, receiver } = await watchReceiver(queue);
    expect(await rounds(1)).toEqual([0]);
    expect([kept(), receiver.problem]).toEqual([["msg_1_a", "msg_2_b"], undefined]);
  });

  it("tells of nothing that could not be written, and of all of it when it can", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    const { watched, held } = await holding(queue);
    const inTheWay = put(path.join(watched.inbox, SENDER), "a file where the sender's directory has to be");
    queue.put("msg_1_a", "msg_2_b");
    expectPauses([await held, ...(await watched.rounds(3))], FAILING.slice(0, 4));
    expect([watched.told(), watched.receiver.problem?.code]).toEqual([0, "storage_failed"]);
    rmSync(inTheWay);
    expect(await watched.round()).toBe(0);
    expect([watched.told(), watched.kept()]).toEqual([1, ["msg_1_a", "msg_2_b"]]);
  });

  it("tells of mail that came by the queue although the other place fails", async () => {
    const queue = new NotifyQueue(MAESTRO);
    queue.put("msg_1_a");
    const elsewhere = async () => {
      throw new Error("the other place is away");
    };
    const { round, told, receiver } = await watchReceiver(queue, { elsewhere });
    expect([await round(), told(), receiver.problem?.code]).toEqual([0, 1, "internal"]);
  });

  it("tells of mail that came by the other place alone", async () => {
    const queue = new NotifyQueue(MAESTRO);
    const found = [0, 2, 0];
    const { rounds, told } = await watchReceiver(queue, { elsewhere: async () => found.shift() ?? 0 });
    const [before, on, after] = await rounds(3);
    expectPauses([before ?? 0, after ?? 0], [1000, 1000]);
    expect([on, told()]).toEqual([0, 1]);
  });
});
