import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { listen, socketUrl } from "../../src/client/socket.ts";
import { SOCKET_FRAME_MAX_BYTES } from "../../src/wire/limits.ts";
import { refusedUrl, startFakeProvider } from "../support/fake-provider.ts";
import { type FakeSocket, FakeSockets } from "../support/fake-socket.ts";
import { EXECUTABLE } from "../support/host.ts";

const KEY = `amp_live_sk_${"0123456789abcdef".repeat(4)}`;
const AUTH = { opcode: 1, text: JSON.stringify({ type: "auth", token: KEY }) };
const CLOSE = 8;
const PONG = 10;

interface Listening {
  sockets: FakeSockets;
  /** Resolves when it has rung so often. */
  rings(count: number): Promise<void>;
  rung(): number;
  over: Promise<void>;
  stop(): void;
}

async function start(prepare: (sockets: FakeSockets) => void = () => {}, limits = {}): Promise<Listening> {
  const sockets = new FakeSockets();
  prepare(sockets);
  const fake = await startFakeProvider([{ act: "silence" }], (incoming, connection) =>
    sockets.accept(incoming, connection),
  );
  const stopping = new AbortController();
  const waiters = new Set<() => void>();
  let rung = 0;
  const onFrame = () => {
    rung += 1;
    for (const resolve of waiters) resolve();
    waiters.clear();
  };
  const over = listen(socketUrl(fake.url, undefined), KEY, onFrame, stopping.signal, limits);
  onTestFinished(async () => {
    stopping.abort();
    await over;
    sockets.close();
    await fake.close();
    expect(fake.requests).toEqual([]);
    for (const { received, headers } of sockets.accepted) {
      expect(received.filter(({ opcode, text }) => ![CLOSE, PONG].includes(opcode) && text !== AUTH.text)).toEqual([]);
      expect(headers.authorization).toBeUndefined();
    }
  });
  return {
    sockets,
    rings: async (count) => {
      while (rung < count) await new Promise<void>((resolve) => waiters.add(resolve));
    },
    rung: () => rung,
    over,
    stop: () => stopping.abort(),
  };
}

/** A connection on which the key was taken. */
async function open(limits = {}): Promise<Listening & { socket: FakeSocket }> {
  const listening = await start(undefined, limits);
  const socket = await listening.sockets.at(0);
  await socket.frames(1);
  socket.send({ type: "connected", address: "bob@x.y.z", pending_count: 0 });
  await listening.rings(1);
  return { ...listening, socket };
}

describe("the URL of a WebSocket is on the provider's own origin, whatever the provider says", () => {
  it.each([
    ["http://localhost:23000/api/v1", undefined, "ws://localhost:23000/v1/ws"],
    ["https://amp.example/api/v1", undefined, "wss://amp.example/v1/ws"],
    ["http://localhost:23000/api/v1", "/amp/socket", "ws://localhost:23000/amp/socket"],
    ["http://localhost:23000/api/v1", "/amp/socket?v=1#x", "ws://localhost:23000/amp/socket?v=1"],
    ["http://localhost:23000/api/v1", "ws://localhost:23000/s", "ws://localhost:23000/s"],
    ["http://localhost:23000/api/v1", "http://localhost:23000/s", "ws://localhost:23000/s"],
    ["https://amp.example/api/v1", "wss://amp.example:443/s", "wss://amp.example/s"],
    ["http://localhost:23000/api/v1", "ws://u:p@localhost:23000/s", "ws://localhost:23000/s"],
    ["http://localhost:23000/api/v1", "ws://192.0.2.2:23000/v1/other", "ws://localhost:23000/v1/ws"],
    ["http://localhost:23000/api/v1", "ws://localhost:23001/s", "ws://localhost:23000/v1/ws"],
    ["https://amp.example/api/v1", "ws://amp.example/s", "wss://amp.example/v1/ws"],
    ["https://amp.example/api/v1", "ws://amp.example:443/s", "wss://amp.example/v1/ws"],
    ["http://localhost:23000/api/v1", "//evil.example/s", "ws://localhost:23000/v1/ws"],
    ["http://localhost:23000/api/v1", "ws://localhost:23000//evil.example/s", "ws://localhost:23000//evil.example/s"],
    ["http://localhost:23000/api/v1", "\\\\evil.example/s", "ws://localhost:23000/v1/ws"],
    ["http://localhost:23000/api/v1", "javascript:alert(1)", "ws://localhost:23000/v1/ws"],
    ["http://localhost:23000/api/v1", "file:///etc/passwd", "ws://localhost:23000/v1/ws"],
    ["http://localhost:23000/api/v1", "ws://[", "ws://localhost:23000/v1/ws"],
    ["http://localhost:23000/api/v1", "", "ws://localhost:23000/"],
  ])("%s, which names %j: %s", (base, advertised, expected) => {
    expect(socketUrl(base, advertised).href).toBe(expected);
  });
});

describe("a WebSocket", () => {
  it("sends the key in its first frame, again until it is taken, and then nothing more", async () => {
    const { sockets, rings, rung } = await start();
    const socket = await sockets.at(0);
    await socket.frames(2);
    expect([rung(), socket.path]).toEqual([0, "/v1/ws"]);
    socket.send({ type: "connected" });
    await rings(1);
    await socket.ping("are you there?");
    expect(socket.received.slice(0, 2)).toEqual([AUTH, AUTH]);
    expect(socket.received.at(-1)).toEqual({ opcode: PONG, text: "are you there?" });
  });

  it.each([
    ["a message of AI Maestro's", { type: "message", envelope: {}, payload: {} }],
    ["a message of the protocol's", { type: "message.new", data: {} }],
    ["something unknown", { type: "whatever" }],
    ["no type", {}],
    ["a type of another type", { type: { type: "error" } }],
    ["no object", "null"],
    ["no JSON", "{"],
    ["nothing", ""],
    ["nesting without end", `${"[".repeat(4000)}`],
    ["a large one", JSON.stringify({ type: "message", text: "x".repeat(1024 * 1024) })],
    ["bytes", Buffer.from([0, 1, 2, 255])],
    ["fragments", undefined],
  ])("rings for %s", async (_, content) => {
    const { socket, rings } = await open();
    // A frame that is not the last one, and the last one, which continues it.
    if (content === undefined) socket.write(Buffer.from([0x01, 1, 0x7b, 0x80, 1, 0x7d]));
    else socket.send(content);
    await rings(2);
  });

  it.each([
    ["invalid UTF-8", Buffer.from([0x81, 2, 0xc3, 0x28])],
    ["an unknown kind of frame", Buffer.from([0x83, 0])],
    ["a masked frame", Buffer.from([0x81, 0x81, 1, 2, 3, 4, 5])],
    ["a continuation of nothing", Buffer.from([0x80, 1, 0x7d])],
    ["a compressed frame, which nobody agreed on", Buffer.from([0xc1, 1, 0x7d])],
    ["a ping that is too long", Buffer.from([0x89, 126, 0x01, 0x00, ...Buffer.alloc(256)])],
    ["a frame of more bytes than a message can have", announced(SOCKET_FRAME_MAX_BYTES + 1)],
    ["a frame of more bytes than there are", announced(2 ** 52)],
    ["no WebSocket at all", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
  ])("ends with %s", async (_, bytes) => {
    const { socket, over, rung } = await open();
    socket.write(bytes);
    await over;
    await socket.closed;
    expect(rung()).toBe(1);
  });

  it("ends when the key is refused, and does not ring", async () => {
    const { sockets, over, rung } = await start();
    const socket = await sockets.at(0);
    await socket.frames(1);
    socket.send({ type: "error", error: "invalid_token" });
    await over;
    await socket.closed;
    expect(rung()).toBe(0);
  });

  it.each([
    ["hangs up", (socket: FakeSocket) => socket.hangUp(1001)],
    ["breaks off", (socket: FakeSocket) => socket.destroy()],
    [
      "breaks off within a frame",
      (socket: FakeSocket) => {
        socket.write(Buffer.from([0x81, 100, 0x7b]));
        socket.destroy();
      },
    ],
  ])("ends when the provider %s", async (_, end) => {
    const { socket, over } = await open();
    end(socket);
    await over;
  });

  it.each([
    ["404", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"],
    ["a redirect, which is not followed", "HTTP/1.1 302 Found\r\nLocation: /v1/ws\r\nContent-Length: 0\r\n\r\n"],
    ["a page", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"],
    ["a wrong handshake", "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"],
    ["no HTTP", "hello\r\n\r\n"],
  ])("ends where the provider answers with %s", async (_, refusal) => {
    const { over, sockets } = await start((prepared) => {
      prepared.refusal = refusal;
    });
    await over;
    expect(sockets.asked).toBe(1);
  });

  it("ends where nobody listens", async () => {
    await listen(socketUrl(await refusedUrl(), undefined), KEY, expect.fail, new AbortController().signal);
  });

  it("ends at its deadline where the handshake or the key is never answered", async () => {
    const { over } = await start(
      (sockets) => {
        sockets.refusal = "";
      },
      { deadline: 50 },
    );
    await over;
    const silent = await start(undefined, { deadline: 250 });
    await silent.over;
    await (await silent.sockets.at(0)).closed;
  });

  it("ends when it has been silent for too long", async () => {
    const { over, socket } = await open({ silent: 50 });
    await over;
    await socket.closed;
  });

  it("ends at once when it is no longer wanted, whatever the provider does: before, during and after the handshake", async () => {
    const gone = new AbortController();
    gone.abort();
    await listen(new URL("ws://192.0.2.2/"), KEY, expect.fail, gone.signal);
    const waiting = await start((sockets) => {
      sockets.refusal = "";
    });
    await waiting.sockets.count(1);
    waiting.stop();
    await waiting.over;
    const opened = await open();
    opened.stop();
    await opened.over;
    await opened.socket.closed;
  });
});

describe("the executable", () => {
  it("has it in a file of its own, which no other one loads before it is needed", () => {
    const chunks = path.join(path.dirname(EXECUTABLE), "chunks");
    const read = (name: string) => readFileSync(path.join(chunks, name), "utf8");
    const names = readdirSync(chunks).filter((name) => name.endsWith(".js"));
    const withSocket = names.filter((name) => read(name).includes("sec-websocket-key"));
    expect(withSocket).toHaveLength(1);
    const loading = names.filter((name) => read(name).includes(withSocket[0] ?? "?"));
    expect(loading.length).toBeGreaterThan(0);
    for (const name of loading) expect(read(name)).not.toMatch(new RegExp(`from\\s*["']\\./${withSocket[0]}`));
  });
});

/** The head of a text frame of so many bytes, and the first of them. */
function announced(bytes: number): Buffer {
  const head = Buffer.from([0x81, 127, 0, 0, 0, 0, 0, 0, 0, 0, 0x7b]);
  head.writeBigUInt64BE(BigInt(bytes), 2);
  return head;
}
