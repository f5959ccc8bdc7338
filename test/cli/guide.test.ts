import { readdirSync, readFileSync, statSync } from "node:fs";
import { expect, it } from "vitest";
import { listedIds, sentId, startAssistant, startRegistered, testHome, testProvider } from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { installGuideScripts } from "../support/guide-scripts.ts";

it("the guide's scripts work, without -a too, on a directory that amp_register wrote", async () => {
  const { url } = await testProvider();
  const bot = await startRegistered(url, "bot");
  const script = installGuideScripts(bot.home);
  const sent = await script("send", "bot", "Hello", "Can you help me?");
  expect(sent).toMatchObject({ code: 0, stderr: "" });
  expect(sent.stdout).toContain("From: bot@local.aimaestro.local\n");

  const ids = listedIds(await bot.call("amp_inbox"));
  expect(ids).toHaveLength(1);
  const read = await bot.call("amp_read", { message_ids: ids });
  expect(read.text).toContain("Can you help me?\n");
  expect(read.text).toContain("signature: unsigned (nothing proves who wrote it)");

  const listed = await script("inbox", "-a", "bot", "list");
  expect(listed).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining(ids[0] ?? "none") });
  expect((await script("inbox", "ack", ids[0] ?? "")).code).toBe(0);
  expect(listedIds(await bot.call("amp_inbox"))).toEqual([]);
  expect((await bot.call("amp_ack", { message_ids: ids })).structured).toMatchObject({ already_gone: ids });
});

it("the server and the command line take up an agent that the guide's script registered, without any step", async () => {
  const { url } = await testProvider();
  const home = testHome();
  const script = installGuideScripts(home);
  expect(await script("register", "my-agent", url)).toMatchObject({ code: 0, stderr: "" });
  const config = home.at(".agent-messaging", "agents", "my-agent", "config.json");
  const before = readFileSync(config, "utf8");

  const assistant = await startAssistant(url, { home, env: { AMP_PROVIDER_URL: "" } });
  expect((await assistant.call("amp_status")).structured).toMatchObject({
    agent: "my-agent@local.aimaestro.local",
    registered: true,
    reachable: true,
    provider_from: "the agent's registration",
  });
  const id = sentId(await assistant.call("amp_send", { to: "my-agent", subject: "S", message: "signed" }));
  expect((await script("inbox", "list")).stdout).toContain("signed");
  const read = await run(["inbox", "read", id], { env: home.env });
  expect(read.stdout).toMatch(
    /^as my-agent@local\.aimaestro\.local\n[\s\S]*^Signature: +verified \(written by you\)$/m,
  );
  expect((await run(["inbox", "ack", id], { env: home.env })).code).toBe(0);
  expect((await script("inbox", "list")).stdout).not.toContain("signed");
  expect(readFileSync(config, "utf8")).toBe(before);
});

it("what amp_register writes is the guide's tree, each of its fields once where scripts look for it, secrets 0600", async () => {
  const { url } = await testProvider();
  const bot = await startRegistered(url, "bot");
  const at = (...parts: string[]) => bot.home.at(".agent-messaging", "agents", "bot", ...parts);
  const config = readFileSync(at("config.json"), "utf8");
  expect(config.match(/"endpoint"\s*:\s*"[^"]*"/g)).toEqual([`"endpoint": "${url}/api/v1"`]);
  expect(new Set(config.match(/"address"\s*:\s*"[^"]*"/g))).toEqual(
    new Set(['"address": "bot@local.aimaestro.local"']),
  );
  expect(JSON.parse(config)).toMatchObject({
    agent_name: "bot",
    agent_id: expect.any(String),
    address: "bot@local.aimaestro.local",
    tenant: "local",
    provider: { name: expect.any(String), endpoint: `${url}/api/v1` },
    fingerprint: expect.stringMatching(/^SHA256:/),
    registered_at: expect.stringMatching(/^\d{4}-.*Z$/),
  });
  expect(readFileSync(at("api_key"), "utf8")).toMatch(/^amp_live_sk_[0-9a-f]{64}\n$/);
  expect(readFileSync(at("keys", "public.pem"), "utf8")).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
  const directories = readdirSync(bot.home.at(".agent-messaging", "agents"), { withFileTypes: true });
  expect(directories.filter((entry) => entry.isDirectory()).map(({ name }) => name)).toEqual(["bot"]);
  if (process.platform !== "win32") {
    const mode = (...parts: string[]) => (statSync(at(...parts)).mode & 0o777).toString(8);
    expect([mode("api_key"), mode("config.json"), mode("keys", "private.pem"), mode("keys")]).toEqual([
      "600",
      "600",
      "600",
      "700",
    ]);
  }
});

it("a message that the guide's script garbles by its quotes arrives whole from the command line", async () => {
  const { url } = await testProvider();
  const bot = await startRegistered(url, "bot");
  const script = installGuideScripts(bot.home);
  const text = 'He said "hi"';
  expect((await script("send", "bot", "S", text)).code).not.toBe(0);
  expect((await run(["send", "bot", "S", text], { env: bot.home.env })).code).toBe(0);
  const ids = listedIds(await bot.call("amp_inbox"));
  expect((await bot.call("amp_read", { message_ids: ids })).text).toContain(`\n${text}\n`);
});
