import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { createInterface } from "node:readline";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { listedIds, startRegistered, testHome, testProvider } from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { refusedUrl, startFakeProvider } from "../support/fake-provider.ts";
import { EXECUTABLE, type Host, startHost } from "../support/host.ts";
import { call } from "../support/provider.ts";

/** How long the hosts with the least patience wait before they send the next signal. */
const EXIT_WITHIN_MS = 100;
const STOPS = ["stdin", "SIGINT", "SIGTERM"] as const;
type Stop = (typeof STOPS)[number];

const ONCE = STOPS.map((stop) => [stop]);
const TWICE = STOPS.map((stop) => [stop, stop]);
const ORDERS = STOPS.flatMap((a) => STOPS.flatMap((b) => STOPS.map((c) => [a, b, c]))).filter(
  (order) => new Set(order).size === STOPS.length,
);

/** An empty Node process, from its start to its end: the yardstick for what this machine takes at this moment. */
async function emptyProcess(): Promise<number> {
  const started = performance.now();
  await run([], { env: testHome().env, program: [process.execPath, "-e", "0"] });
  return performance.now() - started;
}

/** A busy machine may cost the 100 ms once, if an empty process is slow on it at the same moment. */
async function expectQuickEnd(start: () => Promise<Host>, stops: readonly Stop[]) {
  for (let attempt = 1; ; attempt++) {
    const host = await start();
    onTestFinished(() => host.close().catch(() => undefined));
    for (const stop of stops) {
      if (stop === "stdin") host.closeStdin();
      else host.signal(stop);
    }
    const { code, signal, elapsedMs } = await host.exited;
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    if (elapsedMs < EXIT_WITHIN_MS) return;
    const empty = await emptyProcess();
    const slow = `${Math.round(elapsedMs)} ms, ${(elapsedMs / empty).toFixed(1)} x an empty process (${Math.round(empty)} ms)`;
    expect(attempt === 1 && empty > EXIT_WITHIN_MS / 2, `ended after ${slow}`).toBe(true);
  }
}

async function shaken(host: Host): Promise<Host> {
  const clientInfo = { name: "amp-mcp-test", version: "1" };
  await host.request("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  host.notify("notifications/initialized");
  return host;
}

function idle(): Promise<Host> {
  return shaken(startHost({ env: { ...testHome().env, AMP_PROVIDER_URL: "http://127.0.0.1:9" } }));
}

describe("a server ends within 100 ms, with 0", () => {
  it.each([...ONCE, ...TWICE, ...ORDERS].map((stops) => ({ stops, name: stops.join(", ") })))(
    "on $name",
    async ({ stops }) => {
      await expectQuickEnd(idle, stops);
    },
  );

  it.each(STOPS)("on %s before any handshake", async (stop) => {
    const up = async () => {
      const host = startHost({ env: testHome().env });
      await host.request("ping");
      return host;
    };
    await expectQuickEnd(up, [stop]);
  });

  it("on each of them while a provider leaves a request without an answer", async () => {
    const { url } = await testProvider();
    const { home, close } = await startRegistered(url, "alice");
    await close();
    const silent = await startFakeProvider([{ act: "silence" }]);
    onTestFinished(() => silent.close());
    const asking = async () => {
      const host = await shaken(startHost({ env: { ...home.env, AMP_PROVIDER_URL: silent.url } }));
      const before = silent.requests.length;
      host.request("tools/call", { name: "amp_inbox", arguments: {} }).catch(() => undefined);
      await vi.waitUntil(() => silent.requests.length > before, { timeout: 20_000 });
      return host;
    };
    for (const stop of STOPS) await expectQuickEnd(asking, [stop]);
  });
});

it.each(STOPS)(
  "the provider of others that keep their connections ends with 0 on %s, and frees the port",
  async (stop) => {
    const url = await refusedUrl();
    const port = Number(new URL(url).port);
    const host = await shaken(startHost({ env: { ...testHome().env, AMP_PROVIDER_URL: url }, args: ["--embedded"] }));
    onTestFinished(() => host.close());
    await host.request("tools/call", { name: "amp_status", arguments: {} });
    // One that has been served and is kept, one that never asks, one in the middle of its request.
    expect(await call(url, "GET", "/api/v1/health")).toMatchObject({ status: 200 });
    for (const text of ["", "POST /api/v1/register HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"]) {
      const socket = connect(port, "127.0.0.1").on("error", () => undefined);
      onTestFinished(() => void socket.destroy());
      await once(socket, "connect");
      socket.write(text);
    }
    if (stop === "stdin") host.closeStdin();
    else host.signal(stop);
    expect(await host.exited).toMatchObject({ code: 0, signal: null });
    const next = createServer().listen(port, "127.0.0.1");
    await once(next, "listening");
    await new Promise((resolve) => next.close(resolve));
  },
);

it("ends with 0 when stdin was closed before it began", async () => {
  const ended = await run([], { env: testHome().env, stdin: "" });
  expect(ended).toEqual({ code: 0, stdout: "", stderr: "" });
});

it("what was answered before stdin ends reaches a host that reads slowly", async () => {
  const { url } = await testProvider();
  const alice = await startRegistered(url, "alice");
  const child = spawn(process.execPath, [EXECUTABLE], {
    env: { ...alice.home.env, AMP_PROVIDER_URL: url },
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const request = (id: number, method: string, params: object) =>
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
  const clientInfo = { name: "amp-mcp-test", version: "1" };
  request(0, "initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  for (let id = 1; id <= 60; id++) request(id, "tools/list", {});
  request(61, "tools/call", { name: "amp_send", arguments: { to: "alice", subject: "Last", message: "M" } });
  // The last request has been carried out, so the sixty lists before it were answered: half a megabyte, unread.
  await vi.waitUntil(async () => listedIds(await alice.call("amp_inbox")).length === 1, { timeout: 20_000 });
  child.stdin.end();
  const ids: unknown[] = [];
  for await (const line of createInterface({ input: child.stdout })) ids.push(JSON.parse(line).id);
  expect(ids.slice(0, 61)).toEqual(Array.from({ length: 61 }, (_, i) => i));
});
