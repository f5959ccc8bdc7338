import { describe, expect, it } from "vitest";
import { AmpError } from "../../src/errors.ts";
import { BURST, BURST_REFILL, LONG_POLL } from "../../src/wire/limits.ts";
import type { Act } from "../support/fake-provider.ts";
import { COUNTS, json, LONG_POLLS, MAESTRO, NotifyQueue } from "../support/notify-queue.ts";
import { item } from "../support/queue.ts";
import { expectPauses, FAILING, holding, IDLE, type Watched, watchReceiver } from "../support/receiver.ts";

const WAYS = [
  ["long-poll", LONG_POLLS],
  ["count", COUNTS],
  ["poll", MAESTRO],
] as const;

describe("a provider that promises more than it does", () => {
  it.each([
    ["answers at once with nothing", []],
    ["answers at once with the same message for ever", ["msg_1_a"]],
  ])("and %s is asked as seldom as one that cannot hold a request", async (_, ids) => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.put(...ids);
    queue.instead = ({ wait, after }) =>
      wait === null ? undefined : json(200, { messages: ids.map((id) => item(id)), next_cursor: after });
    const { rounds, told } = await watchReceiver(queue);
    const [begin, ...pauses] = await rounds(1 + IDLE.length);
    expect(begin).toBe(0);
    expectPauses(pauses, IDLE);
    expect(told()).toBe(ids.length);
  });

  it("and gives no cursor to go on from is asked for the whole queue, seldom", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.instead = ({ what, wait }) => {
      if (what === "count") return json(404, "<html>");
      return what === "pending" && wait === null ? json(200, { messages: [item("msg_1_a")] }) : undefined;
    };
    const { round, rounds, kept, receiver } = await watchReceiver(queue);
    expect(await round()).toBe(0);
    expectPauses(await rounds(IDLE.length), IDLE);
    expect(queue.asked.some((asked) => asked.includes("wait"))).toBe(false);
    expect([receiver.way, kept()]).toEqual(["long-poll", ["msg_1_a"]]);
  });

  it("and gives the same messages without a cursor whenever it is asked to hold is asked seldom", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.instead = ({ what }) => (what === "pending" ? json(200, { messages: [item("msg_1_a")] }) : undefined);
    const { rounds } = await watchReceiver(queue);
    const pauses = await rounds(2 * IDLE.length);
    expectPauses(
      pauses.filter((_, i) => i % 2 === 1),
      IDLE,
    );
  });

  it("and always has another page, but no message in it, is asked as seldom as one that has nothing", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    let page = 0;
    queue.instead = ({ what }) => {
      page += 1;
      return what === "pending" ? json(200, { messages: [], remaining: 9, next_cursor: `page-${page}` }) : undefined;
    };
    const { rounds } = await watchReceiver(queue);
    const [first, ...pauses] = await rounds(1 + IDLE.length);
    expect(first).toBe(0);
    expectPauses(pauses, IDLE);
  });

  it.each([
    ["long-poll", LONG_POLLS],
    ["count", COUNTS],
    ["poll", MAESTRO],
  ])("and has a new message each time gets a burst and then a few requests a second: %s", async (_, capabilities) => {
    const queue = new NotifyQueue(capabilities);
    queue.instead = ({ what, wait }) => {
      if (what === "count" || (what === "pending" && wait === null)) queue.put(`msg_${queue.asked.length}_a`);
      return wait === null
        ? undefined
        : json(200, { messages: [item(`msg_${queue.asked.length}_a`)], next_cursor: "1.0" });
    };
    const { rounds, kept } = await watchReceiver(queue);
    const pauses = await rounds(BURST + 10);
    expect(pauses.slice(BURST)).toEqual(pauses.slice(BURST).map(() => BURST_REFILL));
    expect(kept().length).toBeGreaterThan(BURST);
  });

  it("and lists the count, which it does not have, is asked for the queue", async () => {
    const queue = new NotifyQueue(COUNTS);
    queue.instead = ({ what }) => (what === "count" ? json(404, "<html>") : undefined);
    queue.put("msg_1_a");
    const { round, rounds, kept, receiver } = await watchReceiver(queue);
    await round();
    expect([kept(), receiver.problem]).toEqual([["msg_1_a"], undefined]);
    expectPauses(await rounds(3), IDLE.slice(0, 3));
  });

  it.each([
    ["long-poll", LONG_POLLS],
    ["count", COUNTS],
  ])("and shows one page of a longer queue without a next one is not taken to be past it: %s", async (_, list) => {
    const queue = new NotifyQueue(list);
    const show = (ids: string[], remaining: number) => {
      queue.instead = ({ what, after }) =>
        what === "pending" && after === null
          ? json(200, { messages: ids.map((id) => item(id)), remaining })
          : undefined;
    };
    queue.put("msg_1_a", "msg_2_b");
    show(["msg_1_a"], 1);
    const { rounds, kept } = await watchReceiver(queue);
    await rounds(2);
    // Somebody acknowledged the first one, and another one came.
    show(["msg_2_b", "msg_3_c"], 0);
    queue.put("msg_3_c");
    await rounds(1);
    expect(kept()).toEqual(["msg_1_a", "msg_2_b", "msg_3_c"]);
  });
});

const BROKEN: readonly (readonly [string, Act])[] = [
  ["an empty body", { act: "answer", status: 200 }],
  ["no content", { act: "answer", status: 204 }],
  ["an HTML page", { act: "answer", status: 200, body: "<html></html>" }],
  ["broken JSON", { act: "answer", status: 200, body: '{"messages":[' }],
  ["JSON of another shape", json(200, { messages: "none" })],
  ["null", json(200, null)],
  ["a redirect", { act: "answer", status: 307, headers: { location: "http://192.0.2.2/" } }],
  ["429 without a word on when", json(429, { error: "rate_limited" })],
  ["500", json(500, { error: "internal_error" })],
  ["a gateway's page", { act: "answer", status: 504, body: "<html>" }],
  ["403", json(403, { error: "forbidden" })],
  ["a connection that closes at once", { act: "hang-up" }],
  ["a connection that closes half-way", { act: "cut-short" }],
];

describe("a provider that fails is asked again after growing pauses, and nothing is lost when it recovers", () => {
  async function failsAndRecovers(queue: NotifyQueue, watched: Watched, act: Act): Promise<void> {
    queue.put("msg_1_a");
    await watched.round();
    queue.instead = ({ what }) => (what === "info" ? undefined : act);
    queue.put("msg_2_b");
    expectPauses(await watched.rounds(FAILING.length), FAILING);
    expect(watched.receiver.problem).toBeInstanceOf(AmpError);
    expect([watched.kept(), watched.told()]).toEqual([["msg_1_a"], 1]);
    queue.instead = () => undefined;
    queue.put("msg_3_c");
    expect(await watched.round()).toBe(0);
    expect(watched.receiver.problem).toBeUndefined();
    expect([watched.kept(), watched.told()]).toEqual([["msg_1_a", "msg_2_b", "msg_3_c"], 2]);
  }

  it.each(WAYS.flatMap(([way, list]) => BROKEN.map(([name, act]) => [way, name, list, act] as const)))(
    "%s: %s",
    async (_way, _name, list, act) => {
      const queue = new NotifyQueue(list);
      await failsAndRecovers(queue, await watchReceiver(queue), act);
    },
  );

  it.each(WAYS)("%s: an answer without an end", async (_, list) => {
    const queue = new NotifyQueue(list);
    const watched = await watchReceiver(queue);
    queue.instead = ({ what }) => (what === "info" ? undefined : { act: "endless" });
    queue.put("msg_1_a");
    expectPauses([await watched.round()], [1000]);
    expect(watched.receiver.problem?.code).toBe("too_large");
    queue.instead = () => undefined;
    await watched.round();
    expect(watched.kept()).toEqual(["msg_1_a"]);
  });

  it.each(WAYS.flatMap(([way, list]) => (["silence", "drip"] as const).map((act) => [way, act, list] as const)))(
    "%s: %s until the deadline",
    async (_, act, list) => {
      const queue = new NotifyQueue(list);
      const watched = await watchReceiver(queue);
      queue.put("msg_1_a");
      await watched.round();
      queue.instead = () => ({ act });
      queue.put("msg_2_b");
      watched.hurry(true);
      expectPauses(await watched.rounds(FAILING.length), FAILING);
      watched.hurry(false);
      queue.instead = () => undefined;
      await watched.round();
      expect(watched.kept()).toEqual(["msg_1_a", "msg_2_b"]);
    },
  );

  it("one that asks for a longer pause gets it, up to five minutes", async () => {
    const queue = new NotifyQueue(MAESTRO);
    const { rounds } = await watchReceiver(queue);
    const asked = ["60", "86400"];
    queue.instead = ({ what }) =>
      what === "info" ? undefined : { act: "answer", status: 429, headers: { "retry-after": asked.shift() ?? "0" } };
    expect(await rounds(2)).toEqual([60_000, 300_000]);
  });

  it("nobody listens any more", async () => {
    const { fake, round, rounds, receiver } = await watchReceiver(new NotifyQueue(MAESTRO));
    await round();
    await fake.close();
    expectPauses(await rounds(FAILING.length), FAILING);
    expect(receiver.problem?.code).toBe("unreachable");
  });

  it("also when it fails only where it is asked to hold a request: mail comes by the rest", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    queue.instead = ({ wait }) => (wait === null ? undefined : { act: "hang-up" });
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

  it("but after a good while its failures are forgotten", async () => {
    const queue = new NotifyQueue(LONG_POLLS);
    const { watched, held } = await holding(queue);
    queue.instead = () => ({ act: "hang-up" });
    queue.expireCursors();
    queue.release();
    expectPauses([await held, ...(await watched.rounds(2))], FAILING.slice(0, 3));
    queue.instead = () => undefined;
    expect(await watched.round()).toBe(0);
    const isHeld = queue.next("held");
    const again = watched.round();
    await isHeld;
    watched.clock.at += LONG_POLL;
    queue.release();
    expect(await again).toBe(0);
    queue.instead = () => ({ act: "hang-up" });
    expectPauses([await watched.round()], [1000]);
  });

  it("429 is waited out as long as the provider asks, where that is short", async () => {
    const queue = new NotifyQueue(MAESTRO);
    const { round, waits, kept } = await watchReceiver(queue);
    const answers: Act[] = [{ act: "answer", status: 429, headers: { "retry-after": "3" } }];
    queue.instead = ({ what }) => (what === "pending" ? answers.pop() : undefined);
    queue.put("msg_1_a");
    await round();
    expect([waits, kept()]).toEqual([[3000], ["msg_1_a"]]);
  });
});
