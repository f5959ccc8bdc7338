import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import * as keys from "../../src/wire/keys.ts";
import { draft, failure, put, readJson, registeredAgent, scratchRoot, startAgent } from "../support/agent.ts";
import { startFakeProvider } from "../support/fake-provider.ts";
import { startMaestro } from "../support/maestro.ts";
import { scratchDirectory } from "../support/provider.ts";

async function head(home: string): Promise<string> {
  const maestro = await startMaestro({ version: "head", home });
  onTestFinished(() => maestro.close());
  return maestro.url;
}

describe("AI Maestro on the same HOME", () => {
  it("does not move the directory away: the link is there before it is asked", async () => {
    const root = scratchRoot();
    const url = await head(path.dirname(root));
    const { profile } = await startAgent({ root, provider: url }).register({ name: "bob" });
    expect(profile.directory).toBe(path.join(root, "agents", "bob"));
    expect(lstatSync(path.join(root, "agents", profile.agentId ?? "")).isSymbolicLink()).toBe(true);
    expect(readJson(root, "agents", ".index.json")).toEqual({ bob: profile.agentId });
    const again = await startAgent({ root, provider: url }).register({ name: "bob" });
    expect([again.outcome, again.profile.directory]).toEqual(["renewed", profile.directory]);
  });

  it("may have moved it nevertheless, and then the registration is written where the keys are", async () => {
    const root = scratchRoot();
    const agents = path.join(root, "agents");
    const id = "11111111-2222-4333-8444-555555555555";
    const fake = await startFakeProvider(({ path: asked, body }) => {
      if (!asked.endsWith("/register")) return { act: "answer", status: 404, body: "<html>" };
      rmSync(path.join(agents, String(JSON.parse(body).agent_id)), { force: true });
      renameSync(path.join(agents, "bob"), path.join(agents, id));
      const answer = {
        address: "bob@t.aimaestro.local",
        agent_id: id,
        api_key: "amp_live_sk_1",
        provider: { name: "t.aimaestro.local" },
      };
      return { act: "answer", status: 201, body: answer };
    });
    onTestFinished(() => fake.close());
    const { profile } = await startAgent({ root, provider: fake.url }).register({ name: "bob" });
    expect(profile).toMatchObject({ directory: path.join(agents, id), apiKey: "amp_live_sk_1", hasPrivateKey: true });
    expect(readlinkSync(path.join(agents, "bob"))).toBe(id);
    expect(readJson(agents, ".index.json")).toEqual({ bob: id });
  });

  it("delivers to the agent's inbox, where it is read and acknowledged", async () => {
    const root = scratchRoot();
    const url = await head(path.dirname(root));
    const bob = await registeredAgent("bob", { root, provider: url });
    const eve = await registeredAgent("eve", { root, provider: url });
    const sent = await eve.send(draft("bob@testorg.aimaestro.local"));
    expect(sent).toMatchObject({ status: "delivered", recipient: "bob@testorg.aimaestro.local", isCopied: true });
    const { messages } = await bob.waiting();
    expect(messages.map(({ message }) => message.envelope.id)).toEqual([sent.id]);
    expect((await bob.acknowledge([sent.id ?? ""])).acknowledged).toEqual([sent.id]);
    expect((await bob.waiting()).messages).toEqual([]);
  });
});

describe("an id that the provider fails at", () => {
  it("is given up for a fresh one, once", async () => {
    const root = scratchRoot();
    const ids: string[] = [];
    const fake = await startFakeProvider(({ path: asked, body }) => {
      if (!asked.endsWith("/register")) return { act: "answer", status: 404, body: "<html>" };
      const { agent_id } = JSON.parse(body);
      ids.push(agent_id);
      if (ids.length === 1) return { act: "answer", status: 500, body: { error: "internal_error" } };
      const provider = { name: "t.aimaestro.local" };
      return {
        act: "answer",
        status: 201,
        body: { address: "bob@t.aimaestro.local", agent_id, api_key: "amp_live_sk_1", provider },
      };
    });
    onTestFinished(() => fake.close());
    const { profile } = await startAgent({ root, provider: fake.url }).register({ name: "bob" });
    expect(new Set(ids).size).toBe(2);
    expect(profile.agentId).toBe(ids[1]);
    expect(readdirSync(path.join(root, "agents")).sort()).toEqual([".index.json", "bob", ids[1]].sort());
  });

  it("and which stays broken is reported, with the keys kept", async () => {
    const root = scratchRoot();
    const fake = await startFakeProvider(({ path: asked }) =>
      asked.endsWith("/register")
        ? { act: "answer", status: 500, body: { error: "internal_error" } }
        : { act: "answer", status: 404 },
    );
    onTestFinished(() => fake.close());
    const error = await failure(startAgent({ root, provider: fake.url }).register({ name: "bob" }));
    expect(error.code).toBe("provider_failed");
    expect(fake.requests.filter(({ method }) => method === "POST")).toHaveLength(2);
    expect(existsSync(path.join(root, "agents", "bob", "keys", "private.pem"))).toBe(true);
  });
});

describe("a directory of the protocol's single-agent layout", () => {
  it("keeps its keys, and gets no link or index entry that leads nowhere", async () => {
    const url = await head(scratchDirectory());
    const root = scratchRoot();
    const pair = await keys.generateKeyPair();
    put(path.join(root, "keys", "private.pem"), keys.privateKeyToPem(pair.privateKey), 0o600);
    put(path.join(root, "config.json"), { version: "1.0", agent: { name: "bob" } });
    const { profile } = await startAgent({ root, provider: url }).register({ name: "bob" });
    expect(profile.directory).toBe(root);
    expect(readFileSync(path.join(root, "keys", "private.pem"), "utf8")).toBe(keys.privateKeyToPem(pair.privateKey));
    for (const name of existsSync(path.join(root, "agents")) ? readdirSync(path.join(root, "agents")) : []) {
      expect(existsSync(path.join(root, "agents", name)), name).toBe(true);
    }
    for (const name of Object.values(
      existsSync(path.join(root, "agents", ".index.json")) ? readJson(root, "agents", ".index.json") : {},
    )) {
      expect(existsSync(path.join(root, "agents", String(name))), String(name)).toBe(true);
    }
    expect((await startAgent({ root, provider: url }).waiting()).offline).toBeUndefined();
  });
});
