import { describe, expect, it, onTestFinished } from "vitest";
import { BURST, BURST_REFILL, SOCKET_FLOOD, SOCKET_SETTLED } from "../../src/wire/limits.ts";
import { startAssistant, testHome } from "../support/assistant.ts";
import { startFakeProvider } from "../support/fake-provider.ts";
import type { FakeSocket } from "../support/fake-socket.ts";
import { json, LONG_POLLS, MAESTRO, NotifyQueue, SOCKETS } from "../support/notify-queue.ts";
import { bobAt, item } from "../support/queue.ts";
import { expectPauses, FAILING, IDLE, type Watched, watchReceiver } from "../support/receiver.ts";

/** A receiver that waits for its next look, with a WebSocket on which its key was taken. */
async function withDoorbell(queue: NotifyQueue): Promise<{ watched: Watched; socket: FakeSocket }> {
  const watched = await watchReceiver(queue);
  await watched.round();
  const socket = await queue.sockets.at(0);
  await socket.frames(1);
  const rung = watched.rung();
  socket.send({ type: "connected", pending_count: 0 });
  expect(await rung).toBe(0);
  await watched.round();
  return { watched, socket };
}

describe("a WebSocket is a doorbell", () => {
  it.each([{ type: "message", envelope: {}, payload: {} }, { type: "message.new" }, { type: "something new" }])(
    "%j: the queue is looked at at once",
    async (frame) => {
      const queue = new NotifyQueue(SOCKETS);
      const { watched, socket } = await withDoorbell(queue);
      expect(watched.receiver.way).toBe("websocket");
      const rung = watched.rung();
      queue.put("msg_1_a");
      socket.send(frame);
      expect(await rung).toBe(0);
      await watched.round();
      expect([watched.kept(), watched.told()]).toEqual([["msg_1_a"], 1]);
    },
  );

  it("of which nothing is kept: what is not in the queue is nowhere", async () => {
    const queue = new NotifyQueue(SOCKETS);
    const { watched, socket } = await withDoorbell(queue);
    const rung = watched.rung();
    socket.send({ type: "message", ...item("msg_1_a") }, { type: "message.new", data: item("msg_2_b") });
    await rung;
    await watched.rounds(2);
    expect([watched.kept(), watched.told(), watched.receiver.problem]).toEqual([[], 0, undefined]);
  });

  it("that rings while the queue is looked at is answered by another look", async () => {
    const queue = new NotifyQueue(SOCKETS);
    const { watched, socket } = await withDoorbell(queue);
    let answer = (): void => {};
    const until = new Promise<void>((resolve) => {
      answer = resolve;
    }).then(() => json(200, { count: 0, cursor: "1.0" }));
    queue.instead = () => ({ act: "held", until });
    const isHeld = queue.next("held");
    const round = watched.round();
    await isHeld;
    socket.send({ type: "message" });
    await socket.ping("heard?");
    queue.instead = () => undefined;
    queue.put("msg_1_a");
    answer();
    expect(await round).toBe(0);
    await watched.round();
    expect(watched.kept()).toEqual(["msg_1_a"]);
  });

  it("that rings a hundred times is answered by one look", async () => {
    const queue = new NotifyQueue(SOCKETS);
    const { watched, socket } = await withDoorbell(queue);
    const before = queue.asked.length;
    socket.send(...Array.from({ length: 100 }, () => ({ type: "message" })));
    await socket.ping("heard?");
    expect(await watched.round()).toBeGreaterThan(BURST_REFILL);
    expect(queue.asked.slice(before)).toEqual(["count"]);
  });

  it("that rings all the time gets a burst of looks and then a few a second", async () => {
    const queue = new NotifyQueue(SOCKETS);
    const { watched, socket } = await withDoorbell(queue);
    const pauses: number[] = [];
    while (pauses.length < BURST + 10) {
      const rung = watched.rung();
      socket.send({ type: "message" });
      pauses.push(await rung);
      await watched.round();
    }
    expect(pauses.slice(BURST)).toEqual(pauses.slice(BURST).map(() => BURST_REFILL));
  });

  it("that rings while the provider fails does not make it be asked more often", async () => {
    const queue = new NotifyQueue(SOCKETS);
    const { watched, socket } = await withDoorbell(queue);
    queue.instead = ({ what }) => (what === "info" ? undefined : json(500, { error: "internal_error" }));
    const pauses: number[] = [];
    for (const i of FAILING.keys()) {
      pauses.push(await watched.round());
      socket.send({ type: "message" });
      await socket.ping(`round ${i}`);
    }
    expectPauses(pauses, FAILING);
    expect(queue.sockets.asked).toBe(1);
  });

  it("besides the looks now and then, which go on without it", async () => {
    const queue = new NotifyQueue(SOCKETS);
    queue.sockets.refusal = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    const watched = await watchReceiver(queue);
    expectPauses(await watched.rounds(3), IDLE.slice(0, 3));
    queue.put("msg_1_a");
    await watched.round();
    expect([watched.kept(), watched.receiver.way]).toEqual([["msg_1_a"], "websocket"]);
  });

  it("is hung up when nobody receives any more", async () => {
    const queue = new NotifyQueue(SOCKETS);
    const { watched, socket } = await withDoorbell(queue);
    watched.stop();
    await watched.ended;
    await socket.closed;
  });

  it.each([
    [{ websocket: "/amp/socket" }, "/amp/socket"],
    [{ ws: "/amp/ws" }, "/amp/ws"],
    [{ websocket: "ws://192.0.2.2/elsewhere" }, "/v1/ws"],
    [{ websocket: 7, ws: {} }, "/v1/ws"],
  ])("is where the provider says, on its own origin: %j", async (info, path) => {
    const queue = new NotifyQueue(SOCKETS);
    queue.info = info;
    await watchReceiver(queue);
    expect((await queue.sockets.at(0)).path).toBe(path);
  });

  it("is opened by the executable where the provider promises to keep what it pushes", async () => {
    const queue = new NotifyQueue(SOCKETS);
    const fake = await startFakeProvider(
      (request) => queue.act(request),
      (incoming, connection) => queue.sockets.accept(incoming, connection),
    );
    onTestFinished(() => fake.close());
    onTestFinished(() => queue.sockets.close());
    const home = testHome();
    bobAt(fake.url, home.at(".agent-messaging"));
    const bob = await startAssistant(fake.url, { home });
    await bob.call("amp_status");
    const socket = await queue.sockets.at(0);
    await socket.frames(1);
    socket.send({ type: "connected" });
    await socket.ping("taken?");
    const counted = queue.next("count");
    queue.put("msg_1_a");
    socket.send({ type: "message" });
    await counted;
    expect((await bob.call("amp_status")).text).toContain("receiving: websocket, and the disk");
    await bob.close();
    await socket.closed;
    expect([socket.received[0]?.text.includes('"type":"auth"'), bob.stderr()]).toEqual([true, ""]);
  });
});

describe("a WebSocket that ends is opened again after growing pauses", () => {
  it.each([
    ["breaks off", (socket: FakeSocket) => socket.destroy()],
    ["hangs up", (socket: FakeSocket) => socket.hangUp(1011)],
    ["takes the key and hangs up", (socket: FakeSocket) => accepted(socket, () => socket.hangUp(4003))],
    ["refuses the key", (socket: FakeSocket) => socket.send({ type: "error", error: "invalid_token" })],
    ["floods", (socket: FakeSocket) => socket.send(...Array.from({ length: SOCKET_FLOOD + 2 }, () => ({})))],
  ])("when it %s", async (_, onConnect) => {
    const queue = new NotifyQueue(SOCKETS);
    queue.sockets.onConnect = onConnect;
    const watched = await watchReceiver(queue);
    await watched.round();
    const pauses: number[] = [];
    while (pauses.length < FAILING.length) pauses.push(await watched.reconnect());
    expectPauses(pauses, FAILING);
    expect(queue.sockets.asked).toBe(FAILING.length);
  });

  it("which begin anew after one that held for a while", async () => {
    const queue = new NotifyQueue(SOCKETS);
    queue.sockets.onConnect = (socket) => socket.destroy();
    const watched = await watchReceiver(queue);
    await watched.round();
    expectPauses([await watched.reconnect(), await watched.reconnect()], [1000, 2000]);
    queue.sockets.onConnect = () => {};
    const ended = watched.reconnect();
    const socket = await queue.sockets.at(2);
    watched.clock.at += SOCKET_SETTLED + 1;
    socket.destroy();
    expectPauses([await ended], [1000]);
  });
});

describe("no WebSocket is opened", () => {
  it.each([
    ["an AI Maestro as it was recorded, where connecting loses mail", MAESTRO],
    ["one that lists it without the promise that mail stays in the queue", ["websockets", ...MAESTRO]],
    ["one that can hold a request", [...LONG_POLLS, "websockets"]],
    ["one that lists nothing", undefined],
  ])("at %s", async (_, capabilities) => {
    const queue = new NotifyQueue(capabilities);
    queue.info = { websocket: "/v1/ws" };
    queue.put("msg_1_a");
    const watched = await watchReceiver(queue);
    await watched.round();
    if (capabilities?.includes("notify:longpoll") !== true) await watched.rounds(3);
    expect([queue.sockets.asked, watched.kept()]).toEqual([0, ["msg_1_a"]]);
  });

  it("at an AI Maestro that has taken the place of another provider", async () => {
    const queue = new NotifyQueue(SOCKETS);
    const { watched, socket } = await withDoorbell(queue);
    queue.capabilities = MAESTRO;
    socket.hangUp(1001);
    await watched.reconnect();
    await watched.reconnect();
    expect(queue.sockets.asked).toBe(1);
    queue.instead = () => json(502, "<html>");
    await watched.round();
    queue.instead = () => undefined;
    await watched.rounds(2);
    expect([queue.sockets.asked, watched.receiver.way]).toEqual([1, "poll"]);
  });

  it("and one that is open is hung up when the provider no longer lists it", async () => {
    const queue = new NotifyQueue(SOCKETS);
    const { watched, socket } = await withDoorbell(queue);
    queue.instead = () => json(502, "<html>");
    await watched.round();
    queue.instead = () => undefined;
    queue.capabilities = MAESTRO;
    await watched.round();
    await socket.closed;
    expect(watched.receiver.way).toBe("poll");
  });
});

function accepted(socket: FakeSocket, then: () => void): void {
  void socket.frames(1).then(() => {
    socket.send({ type: "connected" });
    then();
  });
}
