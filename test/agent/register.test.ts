import { createPublicKey } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { startProvider } from "../../src/provider/server.ts";
import * as keys from "../../src/wire/keys.ts";
import { draft, failure, put, readJson, registeredAgent, scratchRoot, startAgent, tree } from "../support/agent.ts";
import { type Maestro, startMaestro } from "../support/maestro.ts";
import { scratchDirectory } from "../support/provider.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const PROVIDERS = ["seed", "head", "embedded"] as const;

interface Started {
  url: string;
  domain: string;
  requests: Maestro["requests"];
}

async function start(kind: (typeof PROVIDERS)[number], home = scratchDirectory()): Promise<Started> {
  if (kind === "embedded") {
    const provider = await startProvider({ dataDirectory: home, ratePerMinute: 0 });
    onTestFinished(() => provider.close());
    return { url: provider.url, domain: "local.aimaestro.local", requests: [] };
  }
  const maestro = await startMaestro({ version: kind, home });
  onTestFinished(() => maestro.close());
  return { url: maestro.url, domain: "testorg.aimaestro.local", requests: maestro.requests };
}

const modeOf = (file: string) => (statSync(file).mode & 0o777).toString(8);
const privateKey = (directory: string) => readFileSync(path.join(directory, "keys", "private.pem"), "utf8");

describe.each(PROVIDERS)("registering with %s", (kind) => {
  it("writes the directory that every tool of the ecosystem reads", async () => {
    const { url, domain } = await start(kind);
    const root = scratchRoot();
    const { profile, outcome } = await startAgent({ root, provider: url }).register({ name: "bob" });
    expect(outcome).toBe("new");
    const agents = path.join(root, "agents");
    const bob = path.join(agents, "bob");
    const id = profile.agentId ?? "";
    expect(readdirSync(root)).toEqual(["agents"]);
    expect(readdirSync(agents).sort()).toEqual([".index.json", "bob", id].sort());
    expect(readlinkSync(path.join(agents, id))).toBe("bob");
    expect(readJson(agents, ".index.json")).toEqual({ bob: id });
    expect(tree(bob)).toEqual([
      "IDENTITY.md",
      "api_key",
      "attachments",
      "config.json",
      "keys",
      "keys/private.pem",
      "keys/public.pem",
      "messages",
      "messages/inbox",
      "messages/sent",
      "registrations",
      `registrations/${domain}.json`,
    ]);
    const config = readJson(bob, "config.json");
    expect(Object.keys(config)).toEqual([
      "version",
      "agent_name",
      "agent_id",
      "address",
      "tenant",
      "provider",
      "fingerprint",
      "registered_at",
      "agent",
    ]);
    const publicKey = keys.parsePublicKey(readFileSync(path.join(bob, "keys", "public.pem"), "utf8"));
    const fingerprint = publicKey && keys.fingerprint(publicKey);
    const tenant = domain.split(".")[0];
    const address = `bob@${domain}`;
    expect(config).toEqual({
      version: "1.1",
      agent_name: "bob",
      agent_id: id,
      address,
      tenant,
      provider: { name: domain, endpoint: `${url}/api/v1`, domain: "aimaestro.local", maestro_url: url },
      fingerprint,
      registered_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      agent: { name: "bob", tenant, address, fingerprint, createdAt: config.registered_at, id },
    });
    const text = readFileSync(path.join(bob, "config.json"), "utf8");
    expect(text.match(/"endpoint"/g)).toHaveLength(1);
    expect(text.endsWith("}\n")).toBe(true);
    const apiKey = readFileSync(path.join(bob, "api_key"), "utf8");
    expect(apiKey).toMatch(/^amp_live_sk_[0-9a-f]{64}\n$/);
    expect(readJson(bob, "registrations", `${domain}.json`)).toEqual({
      provider: domain,
      apiUrl: `${url}/api/v1`,
      routeUrl: `${url}/api/v1/route`,
      fetchUrl: `${url}/api/v1/messages/pending`,
      agentName: "bob",
      tenant,
      address,
      shortAddress: address,
      apiKey: apiKey.trim(),
      providerAgentId: id,
      fingerprint,
      registeredAt: config.registered_at,
    });
    expect(readFileSync(path.join(bob, "IDENTITY.md"), "utf8")).not.toContain(apiKey.trim());
  });

  it("keeps secrets to the user, from the modes of the files", async () => {
    const { url, domain } = await start(kind);
    const root = scratchRoot();
    await startAgent({ root, provider: url }).register({ name: "bob" });
    const bob = path.join(root, "agents", "bob");
    const modes = Object.fromEntries(["", ...tree(bob)].map((file) => [file, modeOf(path.join(bob, file))]));
    expect(modes).toEqual({
      "": "700",
      "IDENTITY.md": "644",
      api_key: "600",
      attachments: "700",
      "config.json": "600",
      keys: "700",
      "keys/private.pem": "600",
      "keys/public.pem": "644",
      messages: "700",
      "messages/inbox": "700",
      "messages/sent": "700",
      registrations: "700",
      [`registrations/${domain}.json`]: "600",
    });
  });

  it("makes keys in the forms that OpenSSL writes", async () => {
    const { url } = await start(kind);
    const root = scratchRoot();
    await startAgent({ root, provider: url }).register({ name: "bob" });
    const folder = path.join(root, "agents", "bob", "keys");
    expect([119, 113]).toEqual(["private.pem", "public.pem"].map((name) => statSync(path.join(folder, name)).size));
    const derived = createPublicKey(readFileSync(path.join(folder, "private.pem"))).export({
      format: "pem",
      type: "spki",
    });
    expect(derived).toBe(readFileSync(path.join(folder, "public.pem"), "utf8"));
  });

  it("takes effect at once, and in a process that starts afterwards", async () => {
    const { url, domain } = await start(kind);
    const root = scratchRoot();
    const agent = startAgent({ root, provider: url });
    expect((await failure(agent.waiting())).code).toBe("not_registered");
    await agent.register({ name: "bob" });
    expect((await agent.waiting()).offline).toBeUndefined();
    const later = startAgent({ root });
    expect(await later.address()).toBe(`bob@${domain}`);
    expect((await later.waiting()).offline).toBeUndefined();
  });

  it("corrects a wrong tenant once, by the provider's own word, and says nothing else twice", async () => {
    const { url, domain, requests } = await start(kind);
    const { profile } = await startAgent({ root: scratchRoot(), provider: url }).register({
      name: "bob",
      tenant: "wrong",
    });
    expect(profile.address).toBe(`bob@${domain}`);
    const posts = requests.filter(({ method }) => method === "POST");
    if (kind !== "embedded")
      expect(posts.map(({ body }) => body)).toMatchObject([{ tenant: "wrong" }, { tenant: "testorg" }]);
  });

  it("a name that another key holds is an error with the provider's suggestions, and the keys stay", async () => {
    const { url } = await start(kind);
    await startAgent({ root: scratchRoot(), provider: url }).register({ name: "bob" });
    const root = scratchRoot();
    const second = startAgent({ root, provider: url });
    const error = await failure(second.register({ name: "bob" }));
    expect(error.code).toBe("name_taken");
    expect(error.next).toMatch(/for example bob-\S+/);
    const before = privateKey(path.join(root, "agents", "bob"));
    await failure(second.register({ name: "bob" }));
    expect(privateKey(path.join(root, "agents", "bob"))).toBe(before);
    expect(existsSync(path.join(root, "agents", "bob", "api_key"))).toBe(false);
    expect((await second.register({ name: "bob-2" })).outcome).toBe("new");
  });

  it("the same name and key again changes no key and leaves a working API key", async () => {
    const { url } = await start(kind);
    const root = scratchRoot();
    const agent = startAgent({ root, provider: url });
    const first = await agent.register({ name: "bob" });
    const before = privateKey(first.profile.directory);
    const again = await agent.register({ name: "bob" });
    expect(again.outcome).toBe(kind === "seed" ? "kept" : "renewed");
    expect(again.profile.apiKey === first.profile.apiKey).toBe(kind === "seed");
    expect({ ...again.profile, apiKey: "", registeredAt: "" }).toEqual({
      ...first.profile,
      apiKey: "",
      registeredAt: "",
    });
    expect(privateKey(again.profile.directory)).toBe(before);
    expect((await startAgent({ root, provider: url }).waiting()).offline).toBeUndefined();
  });

  it("a name in capitals is the name in small letters", async () => {
    const { url, domain } = await start(kind);
    const root = scratchRoot();
    const { profile } = await startAgent({ root, provider: url }).register({ name: " Bob-The-BUILDER " });
    expect([profile.name, profile.address]).toEqual(["bob-the-builder", `bob-the-builder@${domain}`]);
    expect(readdirSync(path.join(root, "agents"))).toContain("bob-the-builder");
  });

  it("uses a stray empty directory of that name", async () => {
    const { url } = await start(kind);
    const root = scratchRoot();
    mkdirSync(path.join(root, "agents", "bob", "messages", "inbox"), { recursive: true });
    mkdirSync(path.join(root, "agents", "bob", "keys"), { recursive: true });
    const { profile } = await startAgent({ root, provider: url }).register({ name: "bob" });
    expect(profile.directory).toBe(path.join(root, "agents", "bob"));
  });

  it("uses the keys of a directory that the plugin made under a UUID", async () => {
    const { url } = await start(kind);
    const root = scratchRoot();
    const uuid = "5f0c1f9e-9d2a-4c5b-8e11-0123456789ab";
    const own = path.join(root, "agents", uuid);
    const pair = await keys.generateKeyPair();
    put(path.join(own, "keys", "private.pem"), keys.privateKeyToPem(pair.privateKey), 0o600);
    put(path.join(own, "keys", "public.pem"), keys.publicKeyToPem(pair.publicKey));
    put(path.join(own, "config.json"), {
      version: "1.1",
      agent: {
        name: "bob",
        tenant: "default",
        address: "bob@default.aimaestro.local",
        fingerprint: "x",
        createdAt: "2029-01-01T00:00:00Z",
        id: uuid,
      },
      provider: { domain: "aimaestro.local", maestro_url: "http://localhost:23000" },
    });
    put(path.join(root, "agents", ".index.json"), { bob: uuid });
    const { profile } = await startAgent({ root, provider: url }).register({ name: "bob" });
    expect(profile.directory).toBe(own);
    expect(privateKey(own)).toBe(keys.privateKeyToPem(pair.privateKey));
    expect(readJson(root, "agents", ".index.json")).toEqual({ bob: uuid });
    expect(lstatSync(path.join(root, "agents", "bob")).isSymbolicLink()).toBe(true);
    expect(readJson(own, "config.json")).toMatchObject({ agent: { createdAt: "2029-01-01T00:00:00Z", name: "bob" } });
    expect(readFileSync(path.join(own, "config.json"), "utf8").match(/"endpoint"/g)).toHaveLength(1);
    expect((await startAgent({ root, provider: url }).waiting()).offline).toBeUndefined();
  });

  it("makes public.pem again from the private key, and mends one of another key", async () => {
    const { url } = await start(kind);
    const root = scratchRoot();
    const agent = startAgent({ root, provider: url });
    const { directory } = (await agent.register({ name: "bob" })).profile;
    const file = path.join(directory, "keys", "public.pem");
    const own = readFileSync(file, "utf8");
    rmSync(file);
    await agent.register({ name: "bob" });
    expect(readFileSync(file, "utf8")).toBe(own);
    writeFileSync(file, keys.publicKeyToPem((await keys.generateKeyPair()).publicKey));
    await agent.register({ name: "bob" });
    expect(readFileSync(file, "utf8")).toBe(own);
  });

  it.each(["", "garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])(
    "never replaces a private key, not even one that cannot be read: %j",
    async (content) => {
      const { url, requests } = await start(kind);
      const root = scratchRoot();
      const file = put(path.join(root, "agents", "bob", "keys", "private.pem"), content, 0o600);
      const error = await failure(startAgent({ root, provider: url }).register({ name: "bob" }));
      expect(error.code).toBe("agent_incomplete");
      expect(error.describe()).not.toContain("AAAA");
      expect(readFileSync(file, "utf8")).toBe(content);
      expect(requests.filter(({ method }) => method === "POST")).toEqual([]);
    },
  );

  it("never replaces a private key that is no file", async () => {
    const { url } = await start(kind);
    const root = scratchRoot();
    const folder = path.join(root, "agents", "bob", "keys", "private.pem");
    mkdirSync(folder, { recursive: true });
    expect((await failure(startAgent({ root, provider: url }).register({ name: "bob" }))).code).toBe(
      "agent_incomplete",
    );
    expect(statSync(folder).isDirectory()).toBe(true);
  });

  it("keeps what others wrote into config.json and the index", async () => {
    const { url } = await start(kind);
    const root = scratchRoot();
    const agent = startAgent({ root, provider: url });
    const { directory } = (await agent.register({ name: "bob" })).profile;
    const config = readJson(directory, "config.json");
    put(path.join(directory, "config.json"), {
      ...config,
      mine: { deep: [1] },
      agent: { ...Object(config.agent), mood: "good" },
    });
    put(path.join(root, "agents", ".index.json"), {
      other: "somewhere",
      odd: 7,
      ...readJson(root, "agents", ".index.json"),
    });
    await agent.register({ name: "bob" });
    await startAgent({ root, provider: url, agent: "dora" }).register({ name: "dora" });
    expect(readJson(directory, "config.json")).toMatchObject({ mine: { deep: [1] }, agent: { mood: "good" } });
    expect(readJson(root, "agents", ".index.json")).toMatchObject({
      other: "somewhere",
      odd: 7,
      bob: expect.stringMatching(UUID),
    });
  });

  it("is used after the plugin rewrote config.json to its own fields", async () => {
    const { url, domain } = await start(kind);
    const root = scratchRoot();
    const { directory } = (await startAgent({ root, provider: url }).register({ name: "bob" })).profile;
    put(path.join(directory, "config.json"), {
      version: "1.1",
      agent: {
        name: "bob",
        tenant: "testorg",
        address: `bob@${domain}`,
        fingerprint: "x",
        createdAt: "2030-01-01T00:00:00Z",
      },
      provider: { domain: "aimaestro.local", maestro_url: url },
    });
    const agent = startAgent({ root });
    expect(await agent.address()).toBe(`bob@${domain}`);
    expect((await agent.waiting()).offline).toBeUndefined();
    expect((await agent.send(draft("bob"))).id).toMatch(/^msg/);
  });

  it("by twenty at once loses no entry of the index and no agent", async () => {
    const { url } = await start(kind);
    const root = scratchRoot();
    const names = Array.from({ length: 20 }, (_, i) => `agent-${i}`);
    await Promise.all(names.map((name) => registeredAgent(name, { root, provider: url })));
    expect(Object.keys(readJson(root, "agents", ".index.json")).sort()).toEqual([...names].sort());
    expect((await startAgent({ root }).home.profiles()).map(({ name }) => name).sort()).toEqual([...names].sort());
    expect(readdirSync(root)).toEqual(["agents"]);
  });

  it("of one name by several at once leaves one agent whose key works", async () => {
    const { url } = await start(kind);
    const root = scratchRoot();
    const all = Array.from({ length: 6 }, () => startAgent({ root, provider: url }));
    const done = await Promise.all(all.map((agent) => agent.register({ name: "bob" })));
    expect(new Set(done.map(({ profile }) => profile.address)).size).toBe(1);
    expect((await startAgent({ root, provider: url }).waiting()).offline).toBeUndefined();
  });
});

describe("a name", () => {
  it.each(["", "-bob", "bob-", "a b", "ä", "../x", ".hidden", "x".repeat(64), "a@b", "a/b", "con\0"])(
    "that no provider takes is refused before anything is written: %j",
    async (name) => {
      const root = scratchRoot();
      const error = await failure(startAgent({ root, provider: "http://127.0.0.1:9" }).register({ name }));
      expect(error.code).toBe("invalid_argument");
      expect(existsSync(root)).toBe(false);
    },
  );

  it("other than the agent that this process acts as is refused", async () => {
    const { url } = await start("head");
    const root = scratchRoot();
    const agent = await registeredAgent("bob", { root, provider: url });
    expect((await failure(agent.register({ name: "eve" }))).code).toBe("other_agent");
    expect(readdirSync(path.join(root, "agents"))).not.toContain("eve");
  });
});
