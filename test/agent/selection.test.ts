import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Disk } from "../../src/store/disk.ts";
import { MessageStore } from "../../src/store/messages.ts";
import { failure, messageFile, put, scratchRoot, startAgent, tree } from "../support/agent.ts";
import { embedded } from "../support/crash.ts";
import { bobAt, idsOf, item, jsonFiles, startQueue } from "../support/queue.ts";

/** An agent as the plugin leaves it, in any directory. */
function plugin(directory: string, name: string, id?: string): void {
  put(path.join(directory, "config.json"), { version: "1.1", agent: { name, ...(id && { id }) }, provider: {} });
  put(path.join(directory, "keys", "private.pem"), "key", 0o600);
  put(path.join(directory, "registrations", "acme.aimaestro.local.json"), {
    provider: "acme.aimaestro.local",
    apiUrl: "http://127.0.0.1:9/api/v1",
    agentName: name,
    address: `${name}@acme.aimaestro.local`,
    apiKey: `key-of-${path.basename(directory)}`,
  });
}

/** As the plugin's own fallback makes them: 8-4-4-5-12. */
const MALFORMED = ["bf9ab736-f75b-4f42-7a3b4-682054b3a1b1", "0f9ab736-f75b-4f42-7a3b4-682054b3a1b2"] as const;

describe("an agent's directory", () => {
  it("under a malformed UUID is found by its name, by that UUID, and by AMP_DIR, and its mail lies there", async () => {
    const root = scratchRoot();
    const directory = path.join(root, "agents", MALFORMED[0]);
    plugin(directory, "bob");
    const ways: Record<string, string>[] = [
      {},
      { AMP_AGENT: "bob" },
      { CLAUDE_AGENT_ID: MALFORMED[0] },
      { AMP_DIR: directory },
    ];
    for (const env of ways) {
      expect(await startAgent({ root, env }).identity(), JSON.stringify(env)).toMatchObject({
        kind: "registered",
        profile: { name: "bob", agentId: MALFORMED[0], directory },
      });
    }
  });

  it("named by AMP_DIR is the one, whatever else the home holds and other variables say", async () => {
    const root = scratchRoot();
    plugin(path.join(root, "agents", "bob"), "bob");
    plugin(root, "carol");
    const elsewhere = path.join(scratchRoot(), "dora");
    plugin(elsewhere, "dora");
    const env = { CLAUDE_AGENT_NAME: "bob", AIM_AGENT_ID: "bob" };
    const address = (directory: string) => startAgent({ root, env: { ...env, AMP_DIR: directory } }).address();
    expect(await address(root)).toBe("carol@acme.aimaestro.local");
    expect(await address(elsewhere)).toBe("dora@acme.aimaestro.local");
    expect(await startAgent({ root, env: { ...env, AMP_DIR: path.join(root, "no") } }).identity()).toMatchObject({
      kind: "none",
    });
  });

  it("named by AMP_DIR outside the root is registered there, and is itself at once", async () => {
    const provider = await embedded();
    const root = scratchRoot();
    await startAgent({ root, provider }).register({ name: "dora" });
    const directory = path.join(scratchRoot(), "dora");
    mkdirSync(path.dirname(directory), { recursive: true });
    renameSync(path.join(root, "agents", "dora"), directory);
    rmSync(path.join(directory, "registrations"), { recursive: true });
    rmSync(path.join(directory, "api_key"));
    const agent = startAgent({ root: scratchRoot(), provider, env: { AMP_DIR: directory } });
    const { outcome, profile } = await agent.register({ name: "dora" });
    expect([outcome, profile.directory]).toEqual(["new", directory]);
    expect(await agent.address()).toBe(profile.address);
    expect((await agent.waiting()).messages).toEqual([]);
  });

  it("in the root counts as one of several", async () => {
    const root = scratchRoot();
    plugin(path.join(root, "agents", "bob"), "bob");
    plugin(root, "carol");
    const error = await failure(startAgent({ root }).waiting());
    expect(error).toMatchObject({ code: "ambiguous_agent", message: expect.stringMatching(/bob, carol/) });
    expect(await startAgent({ root, agent: "carol" }).address()).toBe("carol@acme.aimaestro.local");
    expect(await startAgent({ root, pickFirst: true }).address()).toBe("bob@acme.aimaestro.local");
  });

  it("is never taken by chance where two claim a name: both are listed, with words that choose", async () => {
    const root = scratchRoot();
    for (const id of MALFORMED) plugin(path.join(root, "agents", id), "bob", id);
    const ways: Record<string, string>[] = [{}, { AMP_AGENT: "bob" }, { CLAUDE_AGENT_NAME: "bob" }];
    for (const env of ways) {
      const error = await failure(startAgent({ root, env }).waiting());
      expect(error.code).toBe("ambiguous_agent");
      for (const id of MALFORMED) expect(error.message).toContain(`bob (in ${id})`);
      const [, word = ""] = /--agent (\S+)/.exec(error.next) ?? [];
      expect(await startAgent({ root, agent: word }).identity()).toMatchObject({
        profile: { directory: expect.stringContaining(word) },
      });
    }
    put(path.join(root, "agents", ".index.json"), { bob: MALFORMED[1] });
    expect(await startAgent({ root, agent: "bob" }).identity()).toMatchObject({ profile: { agentId: MALFORMED[1] } });
  });

  it("stays the agent while a script writes its config.json in place, and beside all kinds of litter", async () => {
    const root = scratchRoot();
    const agents = path.join(root, "agents");
    plugin(path.join(agents, MALFORMED[0]), "bob");
    mkdirSync(path.join(agents, "bob", "keys"), { recursive: true });
    mkdirSync(path.join(agents, "empty"));
    put(path.join(agents, "half", "config.json"), '{"agent": {"na');
    put(path.join(agents, "unreadable", "config.json"), "{}", 0o000);
    symlinkSync("../agents/nowhere", path.join(agents, "dangling"));
    put(path.join(agents, ".index.json.tmp"), "{");
    const before = tree(root);
    for (const content of ["", '{"version":"1.1","agent":{"name"', "{}"]) {
      put(path.join(agents, MALFORMED[0], "config.json"), content);
      expect(await startAgent({ root }).address(), content).toBe("bob@acme.aimaestro.local");
    }
    expect(tree(root)).toEqual(before);
  });
});

describe("names that Windows keeps for devices", () => {
  it.each(["con", "NUL", "aux", "prn", "com1", "lpt9"])("are no agents: %s", async (name) => {
    const root = scratchRoot();
    const provider = await embedded();
    const error = await failure(startAgent({ root, provider }).register({ name }));
    expect(error).toMatchObject({
      code: "invalid_argument",
      next: expect.stringContaining(`${name.toLowerCase()}-agent`),
    });
    expect(error.message).toContain("device on Windows");
    expect(tree(root)).toEqual([]);
  });

  it("are no directory or file either, as senders, recipients and ids", async () => {
    const queue = await startQueue(item("con", { from: "nul" }), item("LPT1", { from: "Aux" }));
    const { inbox, bob } = bobAt(queue.url);
    expect(idsOf(await bob.waiting()).sort()).toEqual(["LPT1", "con"]);
    for (const file of jsonFiles(inbox)) {
      expect(file).toMatch(/^(nul|Aux)_[/\\]x_[0-9a-f]{32}\.json$/);
    }
  });
});

describe("a file system where the case of letters makes no difference", () => {
  it("keeps a sent copy beside that of another id which has its name, and finds both", async () => {
    const sent = path.join(scratchRoot(), "sent");
    const file = put(path.join(sent, "alice", "msg_1_a.json"), messageFile("msg_1_A"));
    const before = readFileSync(file, "utf8");
    const store = new MessageStore(new Disk());
    const envelope = { from: "bob", to: "alice", subject: "S" };
    for (let i = 0; i < 2; i++) await store.keepSent(sent, "msg_1_a", envelope, { message: "M" }, new Date());
    const { messages } = await store.list([sent]);
    expect(messages.map(({ message }) => message.envelope.id).sort()).toEqual(["msg_1_A", "msg_1_a"]);
    expect(readFileSync(file, "utf8")).toBe(before);
  });
});
