import { describe, expect, it } from "vitest";
import type { Home } from "../support/home.ts";
import { call, message, registerAgent, send } from "../support/provider.ts";
import { secretFile, shell } from "../support/shell.ts";

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
      expect(read.stdout).toMatch(/^Signature: +verified \(written by you\)$/m);
      expect(read.stdout).toContain("\nCan you help me?\n");
      expect(await amp("inbox", "ack", id)).toMatchObject({ code: 0, stderr: "" });
      expect((await amp("inbox", "ack", id)).stdout).toContain(`Already gone: ${id}`);
      expect((await amp("inbox", "list")).stdout).toContain("No pending messages.");
    }
  });

  it("take any text as it was typed", async () => {
    const { url, home, amp, json } = await shell("bot");
    const texts = [
      `He said "hi" and 'bye' C:\\new\\table \\n is no newline`,
      "two\nlines\n\n",
      "\u{1f469}\u200d\u{1f680} e\u0301 \u{1f1e9}\u{1f1ea}",
      "--json",
      "$HOME `id` %s !! | < >",
      " \t",
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
