import { existsSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createHome, type Home } from "./home.ts";
import { startHost } from "./host.ts";
import { connectClient, connectOldClient } from "./mcp-clients.ts";

let home: Home;
beforeEach(() => {
  home = createHome();
});
afterEach(() => home.remove());

function program(text: string): string {
  writeFileSync(home.at("server.mjs"), text);
  return home.at("server.mjs");
}

/** Answers each request with its method, and repeats notifications on stderr. */
const ECHO = `
  import { createInterface } from "node:readline";
  createInterface({ input: process.stdin }).on("line", (line) => {
    const { id, method } = JSON.parse(line);
    if (method === "fail") console.log(JSON.stringify({ jsonrpc: "2.0", id, error: { code: 1, message: "no" } }));
    else if (method === "noise") console.log("hello");
    else if (method === "leave") process.exit(3);
    else if (id === undefined) console.error(method);
    else console.log(JSON.stringify({ jsonrpc: "2.0", id, result: { method } }));
  });
`;

describe("a raw host", () => {
  it("gives results and errors, and keeps stdout and stderr", async () => {
    const host = startHost({ env: home.env, program: program(ECHO) });
    host.notify("noted");
    expect(await host.request("ping")).toMatchObject({ result: { method: "ping" } });
    expect(await host.request("fail")).toMatchObject({ error: { code: 1 } });
    expect(host.messages).toHaveLength(2);
    await vi.waitUntil(() => host.stderr() === "noted\n");
    host.closeStdin();
    expect(await host.exited).toMatchObject({ code: 0, signal: null });
  });

  it("measures from the last thing done to the end, and reports the signal", async () => {
    const host = startHost({ env: home.env, program: program(ECHO) });
    await host.request("ping");
    host.signal("SIGTERM");
    const exit = await host.exited;
    expect(exit).toMatchObject({ code: null, signal: "SIGTERM" });
    expect(exit.elapsedMs).toBeGreaterThan(0);
    expect(exit.elapsedMs).toBeLessThan(5_000);
  });

  it("fails where stdout carries anything but the protocol", async () => {
    const host = startHost({ env: home.env, program: program(ECHO) });
    await expect(host.request("noise")).rejects.toThrow(/not JSON-RPC: "hello"/);
    host.closeStdin();
    await expect(host.exited).rejects.toThrow(/not JSON-RPC/);
  });

  it("fails what waits when the server ends first", async () => {
    const host = startHost({ env: home.env, program: program(ECHO) });
    await expect(host.request("leave")).rejects.toThrow(/ended \(code 3/);
    await host.close();
  });
});

describe("a scratch home", () => {
  it("hands on nothing of the machine but what a program needs to run, and is gone afterwards", () => {
    const leaks = ["AMP_AGENT", "AMP_CONFIG_DIR", "AMP_DIR", "CLAUDE_AGENT_NAME", "AIM_AGENT_ID", "ANTHROPIC_API_KEY"];
    for (const name of leaks) vi.stubEnv(name, "leaked");
    const other = createHome({ AMP_PROVIDER_URL: "http://127.0.0.1:1" });
    vi.unstubAllEnvs();
    expect(Object.values(other.env)).not.toContain("leaked");
    expect(other.env).toMatchObject({ HOME: other.path, AMP_PROVIDER_URL: "http://127.0.0.1:1" });
    expect(other.path).not.toBe(home.path);
    other.remove();
    other.remove();
    expect(existsSync(other.path)).toBe(false);
  });
});

describe("a real client is connected to the executable", () => {
  it.each(["modern", "auto", "legacy"] as const)("in the era %s", async (era) => {
    const { client, close } = await connectClient({ env: home.env, cwd: home.path }, era);
    expect(client.getServerVersion()?.name).toBe("amp-mcp");
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
    await close();
  });

  it("built on the 1.x SDK", async () => {
    const { client, close, stderr } = await connectOldClient({ env: home.env, cwd: home.path });
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
    await close();
    expect(stderr()).toBe("");
  });
});
