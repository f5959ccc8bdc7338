import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { testHome, testProvider } from "../support/assistant.ts";
import { type Ended, run } from "../support/command.ts";
import { refusedUrl } from "../support/fake-provider.ts";
import type { Home } from "../support/home.ts";
import { call, message, registerAgent, send } from "../support/provider.ts";

/** A home, a provider, and a command line whose words are all kept. */
async function shell(...agents: string[]) {
  const { url, close } = await testProvider();
  const home = testHome();
  const printed: string[] = [];
  const amp = async (...args: string[]): Promise<Ended> => {
    const ended = await run(args, { env: home.env });
    printed.push(ended.stdout, ended.stderr);
    return ended;
  };
  const json = async (...args: string[]): Promise<Record<string, unknown>> => JSON.parse((await amp(...args)).stdout);
  for (const name of agents) expect((await amp("register", "-n", name, "-p", url)).code).toBe(0);
  return { url, home, amp, json, printed, close };
}

const secretFile = (home: Home, agent: string, ...parts: string[]) =>
  readFileSync(home.at(".agent-messaging", "agents", agent, ...parts), "utf8").trim();

async function firstWaiting(url: string, home: Home, agent: string) {
  const [waiting] = (await call(url, "GET", "/api/v1/messages/pending", { key: secretFile(home, agent, "api_key") }))
    .body.messages;
  if (waiting === undefined) throw new Error(`nothing waits for ${agent}`);
  return waiting;
}

describe("the guide's commands", () => {
  it("register, send, list, read, acknowledge, with its short options and with its long ones, in any order", async () => {
    for (const isLong of [false, true]) {
      const { url, home, amp } = await shell();
      const o = (short: string, long: string) => (isLong ? long : short);
      const registered = await amp(
        "register",
        o("-p", "--provider"),
        url,
        o("-t", "--tenant"),
        "local",
        o("-n", "--name"),
        "bot",
      );
      expect(registered).toMatchObject({ code: 0, stderr: "" });
      expect(registered.stdout).toContain("Registered: bot@local.aimaestro.local");
      const sent = await amp(
        "send",
        o("-p", "--priority"),
        "high",
        "bot@local.aimaestro.local",
        o("-t", "--type"),
        "update",
        "Hello",
        o("-r", "--reply-to"),
        "msg_1_abc",
        "Can you help me?",
        o("-a", "--agent"),
        "bot",
      );
      expect(sent).toMatchObject({ code: 0, stderr: "" });
      const [, id = ""] = /^queued: (msg_\w+) to bot@local\.aimaestro\.local$/m.exec(sent.stdout) ?? [];
      expect(await firstWaiting(url, home, "bot")).toMatchObject({
        id,
        envelope: { subject: "Hello", priority: "high", in_reply_to: "msg_1_abc", signature: expect.any(String) },
        payload: { type: "update", message: "Can you help me?" },
      });
      for (const list of [[], [o("-l", "--limit"), "5", "list", o("-a", "--agent"), "bot"]]) {
        const { code, stdout } = await amp("inbox", ...list);
        expect(code).toBe(0);
        expect(stdout).toContain(id);
        expect(stdout).not.toContain("Can you help me?");
      }
      const read = await amp("inbox", "read", id.slice(0, -2));
      expect(read.stdout).toMatch(/^Signature: +new-key$/m);
      expect(read.stdout).toContain("\nCan you help me?\n");
      expect(await amp("inbox", "ack", id)).toMatchObject({ code: 0, stderr: "" });
      expect((await amp("inbox", "ack", id)).stdout).toContain(`Already gone: ${id}`);
      expect((await amp("inbox", "list")).stdout).toContain("No pending messages.");
    }
  });

  it("take any text as it was typed", async () => {
    const { url, home, amp, json } = await shell("bot");
    const texts = [
      `He said "hi" and 'bye'`,
      "C:\\new\\table \\n is no newline",
      "two\nlines\n\n",
      "\u{1f469}\u200d\u{1f680} e\u0301 \u{1f1e9}\u{1f1ea}",
      "--json",
      "-p",
      "$HOME `id` %s !! | < >",
      " leading and trailing ",
      "\t",
    ];
    for (const text of texts) {
      const subject = text.replace(/\s+/g, " ").trim() || "blank";
      expect(await amp("send", "--", "bot", subject, text)).toMatchObject({ code: 0, stderr: "" });
    }
    const { messages } = (
      await call(url, "GET", "/api/v1/messages/pending", { key: secretFile(home, "bot", "api_key") })
    ).body;
    expect(messages.map(({ payload }) => payload.message)).toEqual(texts);
    const read = await json("inbox", "read", ...messages.map(({ id }) => id), "--json");
    expect(read).toMatchObject({
      messages: texts.map((text) => ({
        signature: expect.stringMatching(/^(new-key|verified)$/),
        payload: { message: text },
      })),
    });
  });

  it("list as many as asked for, and say how many more there are", async () => {
    const { url, amp, json } = await shell("bot");
    const alice = await registerAgent(url, "alice");
    for (let i = 0; i < 12; i++) await send(url, alice, message("bot"));
    const ten = await json("inbox", "--json");
    expect(ten).toMatchObject({ pending: 12, more: 2 });
    expect(ten.messages).toHaveLength(10);
    expect((await amp("inbox", "-l", "3")).stdout).toContain("9 more; see --limit.");
    expect(await json("inbox", "-l", "50", "--json")).toMatchObject({ more: 0 });
    expect(await amp("inbox", "ack-all")).toMatchObject({ code: 0, stdout: expect.stringContaining("12 messages") });
    expect(await amp("inbox", "ack-all")).toMatchObject({ code: 0, stdout: expect.stringContaining("0 messages") });
  });
});

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
      [1, "send", "bot", "S", "M", "-p", "asap"],
      [1, "send", "bot", "", "M"],
      [1, "send", "bot", "S", "M", "-c", "[1]"],
      [1, "inbox", "-a", "other"],
      [1, "register", "-n", "no name", "-p", url],
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
    expect(await amp("inbox")).toMatchObject({ code: 1, stdout: expect.stringContaining("provider not asked") });
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
