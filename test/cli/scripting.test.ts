import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { refusedUrl } from "../support/fake-provider.ts";
import { secretFile, shell } from "../support/shell.ts";

describe("which agent", () => {
  it("without -a is the one that was registered first, and each answer names it", async () => {
    const { amp, json } = await shell("zed", "alice");
    expect((await amp("inbox")).stdout).toMatch(/^as zed@local\.aimaestro\.local\n/);
    expect((await amp("inbox", "-a", "alice")).stdout).toMatch(/^as alice@local\.aimaestro\.local\n/);
    expect((await amp("send", "alice", "S", "M")).stdout).toMatch(/^as zed@/);
    expect(await json("status", "--json")).toMatchObject({ agent: "zed@local.aimaestro.local", registered: true });
    expect(await amp("inbox", "-a", "nobody")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("not_registered"),
    });
  });

  it("is looked for in the directory that -d or --directory names", async () => {
    const { url, home, amp } = await shell();
    const elsewhere = home.at("other place");
    expect((await amp("register", "-n", "bot", "-p", url, "-d", elsewhere)).stdout).toContain(elsewhere);
    expect((await amp("inbox", "--directory", elsewhere)).stdout).toMatch(/^as bot@/);
    expect((await amp("inbox")).code).toBe(1);
  });
});

describe("for a script", () => {
  it("every answer is one JSON object on stdout, errors too, and the status tells them apart", async () => {
    const { url, amp, close } = await shell("bot");
    const { stdout } = await amp("send", "bot", "S", "M", "--json");
    const id = String(JSON.parse(stdout).message_id);
    const calls: readonly (readonly [number, ...string[]])[] = [
      [0, "register", "-n", "bot", "-p", url],
      [0, "status"],
      [0, "inbox"],
      [0, "inbox", "read", id],
      [0, "inbox", "ack", id],
      [0, "inbox", "ack-all"],
      [1, "inbox", "ack", "msg_0_nowhere"],
      [1, "inbox", "read", "msg_0_nowhere"],
      [1, "send", "nobody", "S", "M"],
      [2, "send", "bot", "S", "M", "-p", "asap"],
      [2, "send", "bot", "", "M"],
      [2, "send", "bot", "S", "M", "-c", "[1]"],
      [1, "inbox", "-a", "other"],
      [2, "register", "-n", "no name", "-p", url],
    ];
    for (const [status, ...args] of calls) {
      const ended = await amp(...args, "--json");
      expect([args, ended.code, ended.stderr]).toEqual([args, status, ""]);
      expect(ended.stdout.trimEnd().split("\n")).toHaveLength(1);
      expect(JSON.parse(ended.stdout)).toBeTypeOf("object");
    }
    await close();
    expect((await amp("send", "bot", "S", "M", "--json")).code).toBe(1);
    expect((await amp("inbox", "--json")).code).toBe(1);
    expect(await amp("inbox")).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("provider could not be asked"),
    });
  });

  it("wrong usage is status 2, help and version are 0", async () => {
    const { amp } = await shell();
    for (const args of [
      ["send", "bot"],
      ["register"],
      ["inbox", "--nonsense"],
      ["unknown-command"],
      ["send", "a", "b", "c", "d"],
    ])
      expect(await amp(...args)).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("error: ") });
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
    expect(await amp("--version")).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
    for (const args of [["-h"], ["register", "--help"], ["send", "-h"], ["inbox", "--help"], ["provider", "-h"]])
      expect(await amp(...args)).toMatchObject({
        code: 0,
        stdout: expect.stringContaining("Usage: amp-mcp"),
        stderr: "",
      });
  });
});

it("no command prints an API key or a private key, whatever happens, the log included", async () => {
  const { url, home, amp, printed } = await shell("bot");
  const keys = [secretFile(home, "bot", "api_key")];
  const all = async (...more: string[]) => {
    for (const args of [["status"], ["inbox"], ["send", "bot", "S", "M"], ["inbox", "read", "x"], ["inbox", "ack-all"]])
      await amp(...args, ...more);
  };
  Object.assign(home.env, { AMP_LOG: "debug" });
  await all();
  await all("--provider", await refusedUrl());
  await amp("register", "-n", "bot", "-p", url);
  keys.push(
    secretFile(home, "bot", "api_key"),
    ...secretFile(home, "bot", "keys", "private.pem").split("\n").slice(1, -1),
  );
  await amp("register", "-n", "bot", "-p", url, "--json");
  keys.push(secretFile(home, "bot", "api_key"));
  expect(keys.every((key) => key.length > 20)).toBe(true);
  const words = printed.join("\n");
  expect(words).toContain("bot@local.aimaestro.local");
  for (const key of keys) expect(words.includes(key)).toBe(false);
  expect(words).not.toMatch(/amp_live_sk_\w{8}|Bearer \w|PRIVATE KEY/);
});
