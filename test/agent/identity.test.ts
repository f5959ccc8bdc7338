import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { startProvider } from "../../src/provider/server.ts";
import * as keys from "../../src/wire/keys.ts";
import { draft, failure, put, readJson, scratchRoot, startAgent } from "../support/agent.ts";
import { call, registration, scratchDirectory } from "../support/provider.ts";

const ID = "11111111-2222-4333-8444-555555555555";

interface Made {
  root: string;
  name?: string;
  /** Directory under `agents/`; default the name. */
  folder?: string;
  id?: string;
  registeredAt?: string;
}

/** What the guide's amp-register.sh leaves behind: no message directories, no index, no registrations. */
function guideAgent({
  root,
  name = "bob",
  folder = name,
  id = ID,
  registeredAt = "2026-02-05T10:00:00Z",
}: Made): string {
  const directory = path.join(root, "agents", folder);
  put(
    path.join(directory, "config.json"),
    `{
  "agent_name": "${name}",
  "agent_id": "${id}",
  "address": "${name}@acme.aimaestro.local",
  "tenant": "acme",
  "provider": {
    "name": "macbook.acme.aimaestro.local",
    "endpoint": "http://127.0.0.1:9/api/v1"
  },
  "fingerprint": "SHA256:x",
  "registered_at": "${registeredAt}"
}
`,
    0o600,
  );
  put(path.join(directory, "api_key"), `amp_live_sk_${name}\n`, 0o600);
  put(path.join(directory, "keys", "private.pem"), "key", 0o600);
  return directory;
}

function pluginAgent({ root, name = "bob", id = ID, folder = id }: Made): string {
  const directory = path.join(root, "agents", folder);
  const agent = {
    name,
    tenant: "acme",
    address: `${name}@acme.aimaestro.local`,
    fingerprint: "SHA256:y",
    createdAt: "2026-03-01T00:00:00Z",
    id,
  };
  put(path.join(directory, "config.json"), {
    version: "1.1",
    agent,
    provider: { domain: "aimaestro.local", maestro_url: "http://localhost:23000" },
  });
  put(path.join(directory, "keys", "private.pem"), "key", 0o600);
  put(
    path.join(directory, "registrations", "acme.aimaestro.local.json"),
    {
      provider: "acme.aimaestro.local",
      apiUrl: "http://127.0.0.1:9/api/v1",
      agentName: name,
      tenant: "acme",
      address: `${name}@acme.aimaestro.local`,
      apiKey: `amp_live_sk_${name}`,
      providerAgentId: id,
      fingerprint: "SHA256:y",
      registeredAt: "2026-03-01T00:00:00Z",
    },
    0o600,
  );
  return directory;
}

const addressOf = (root: string, more: { agent?: string; env?: Record<string, string> } = {}) =>
  startAgent({ root, ...more }).address();

describe("the only agent of a home is the one, as it was made by", () => {
  it("the guide's script", async () => {
    const root = scratchRoot();
    guideAgent({ root });
    const identity = await startAgent({ root }).identity();
    expect(identity).toMatchObject({
      kind: "registered",
      profile: {
        name: "bob",
        address: "bob@acme.aimaestro.local",
        agentId: ID,
        apiKey: "amp_live_sk_bob",
        endpoint: "http://127.0.0.1:9/api/v1",
      },
    });
  });

  it("the plugin, under a UUID with an index", async () => {
    const root = scratchRoot();
    pluginAgent({ root });
    put(path.join(root, "agents", ".index.json"), { bob: ID });
    expect(await startAgent({ root }).identity()).toMatchObject({
      kind: "registered",
      profile: { name: "bob", agentId: ID },
    });
  });

  it("the plugin, beside a stray empty directory of the same name", async () => {
    const root = scratchRoot();
    pluginAgent({ root });
    mkdirSync(path.join(root, "agents", "bob", "messages", "inbox"), { recursive: true });
    put(path.join(root, "agents", ".index.json"), { bob: ID });
    expect(await addressOf(root)).toBe("bob@acme.aimaestro.local");
    expect(await addressOf(root, { agent: "bob" })).toBe("bob@acme.aimaestro.local");
  });

  it("a program that follows the protocol: a registration in snake case", async () => {
    const root = scratchRoot();
    const directory = path.join(root, "agents", "bob");
    put(path.join(directory, "keys", "private.pem"), "key", 0o600);
    put(path.join(directory, "registrations", "x.json"), {
      provider: "acme.example.com",
      api_url: "http://127.0.0.1:9/api",
      agent_name: "bob",
      address: "bob@acme.example.com",
      agent_id: ID,
      api_key: "k-1",
      tenant: "acme",
      registered_at: "2026-01-01T00:00:00Z",
    });
    expect(await startAgent({ root }).identity()).toMatchObject({
      kind: "registered",
      profile: { address: "bob@acme.example.com", apiKey: "k-1", endpoint: "http://127.0.0.1:9/api/v1", agentId: ID },
    });
  });

  it("the protocol's single-agent layout, in the root", async () => {
    const root = scratchRoot();
    guideAgent({ root, folder: ".." });
    expect(await addressOf(root)).toBe("bob@acme.aimaestro.local");
  });

  it("the guide's script with a real key, and it can send and receive without any step", async () => {
    const provider = await startProvider({ dataDirectory: scratchDirectory() });
    onTestFinished(() => provider.close());
    const root = scratchRoot();
    const pair = await keys.generateKeyPair();
    const { body } = await call(provider.url, "POST", "/api/v1/register", { body: registration("bob", pair) });
    const directory = guideAgent({ root });
    const config = readJson(directory, "config.json");
    put(path.join(directory, "config.json"), {
      ...config,
      address: body.address,
      provider: { name: "x", endpoint: `${provider.url}/api/v1` },
    });
    put(path.join(directory, "api_key"), `${body.api_key}\n`);
    put(path.join(directory, "keys", "private.pem"), keys.privateKeyToPem(pair.privateKey));
    const bob = startAgent({ root });
    const sent = await bob.send(draft("bob"));
    const { messages } = await bob.waiting();
    expect(messages.map(({ message }) => message.envelope.id)).toEqual([sent.id]);
    expect((await bob.acknowledge("all")).acknowledged).toEqual([sent.id]);
  });
});

describe("of several agents", () => {
  function three(): string {
    const root = scratchRoot();
    guideAgent({
      root,
      name: "alice",
      id: "aaaaaaaa-2222-4333-8444-555555555555",
      registeredAt: "2026-02-07T00:00:00Z",
    });
    pluginAgent({ root, name: "bob" });
    guideAgent({
      root,
      name: "carol",
      id: "cccccccc-2222-4333-8444-555555555555",
      registeredAt: "2026-02-06T00:00:00Z",
    });
    return root;
  }

  it("none is taken by chance: the error names them and the ways to choose", async () => {
    const agent = startAgent({ root: three() });
    const error = await failure(agent.waiting());
    expect(error.code).toBe("ambiguous_agent");
    for (const name of ["alice", "bob", "carol"]) expect(error.message).toContain(name);
    expect(error.next).toMatch(/--agent .*AMP_AGENT=/s);
    expect(await agent.address()).toBeUndefined();
  });

  it.each([
    ["its name", "carol"],
    ["its name in capitals", "CAROL"],
    ["its address", "carol@acme.aimaestro.local"],
    ["its id", "cccccccc-2222-4333-8444-555555555555"],
  ])("--agent and AMP_AGENT choose one by %s", async (_, word) => {
    const root = three();
    expect(await addressOf(root, { agent: word })).toBe("carol@acme.aimaestro.local");
    expect(await addressOf(root, { env: { AMP_AGENT: ` ${word} ` } })).toBe("carol@acme.aimaestro.local");
  });

  it.each(["CLAUDE_AGENT_ID", "AMP_AGENT_ID", "AIM_AGENT_ID", "AIMAESTRO_AGENT_ID"])(
    "%s chooses by id",
    async (name) => {
      expect(await addressOf(three(), { env: { [name]: ID } })).toBe("bob@acme.aimaestro.local");
    },
  );

  it.each(["CLAUDE_AGENT_NAME", "AIM_AGENT_NAME"])("%s chooses by name", async (name) => {
    expect(await addressOf(three(), { env: { [name]: "bob" } })).toBe("bob@acme.aimaestro.local");
  });

  it("AMP_DIR is an agent's directory, weaker than --agent and stronger than the ecosystem's variables", async () => {
    const root = three();
    const env = { AMP_DIR: path.join(root, "agents", "alice"), CLAUDE_AGENT_NAME: "bob" };
    expect(await addressOf(root, { env })).toBe("alice@acme.aimaestro.local");
    expect(await addressOf(root, { env, agent: "carol" })).toBe("carol@acme.aimaestro.local");
    expect(await addressOf(root, { env: { ...env, AMP_AGENT: "carol" } })).toBe("carol@acme.aimaestro.local");
  });

  it("an empty variable counts as none", async () => {
    const root = three();
    expect(await addressOf(root, { env: { AMP_AGENT: "", CLAUDE_AGENT_ID: " ", AIM_AGENT_NAME: "bob" } })).toBe(
      "bob@acme.aimaestro.local",
    );
  });

  it("one that is named and not there is none, and no other is taken instead", async () => {
    const agent = startAgent({ root: three(), agent: "nobody" });
    expect(await agent.identity()).toEqual({ kind: "none", wanted: "nobody" });
    expect((await failure(agent.waiting())).code).toBe("not_registered");
  });

  it("only the registered count where there is one; keys alone are no agent yet", async () => {
    const root = scratchRoot();
    guideAgent({ root });
    put(path.join(root, "agents", "half", "keys", "private.pem"), "key");
    expect(await addressOf(root)).toBe("bob@acme.aimaestro.local");
    const half = startAgent({ root, agent: "half" });
    const error = await failure(half.waiting());
    expect(error).toMatchObject({ code: "agent_incomplete" });
    expect(error.message).toContain("no API key");
    expect(error.next).toContain("amp_register");
  });

  it("the command line takes the one that was registered first", async () => {
    expect(await startAgent({ root: three(), pickFirst: true }).address()).toBe("carol@acme.aimaestro.local");
  });
});

describe("a home with traps", () => {
  it.each(["AMP_AGENT", "CLAUDE_AGENT_ID"])("does not let %s lead out of it", async (name) => {
    const outside = scratchRoot();
    const directory = guideAgent({ root: outside, name: "eve" });
    const root = scratchRoot();
    guideAgent({ root });
    for (const word of [directory, path.relative(path.join(root, "agents"), directory), "..", ".", "../agents/bob"]) {
      const identity = await startAgent({ root, env: { [name]: word } }).identity();
      expect(identity.kind, word).toBe("none");
    }
  });

  it("passes over dangling links, links in circles, links out of it, hidden and stray directories, and bad indexes", async () => {
    const outside = scratchRoot();
    guideAgent({ root: outside, name: "eve" });
    const root = scratchRoot();
    guideAgent({ root });
    const agents = path.join(root, "agents");
    symlinkSync("nowhere", path.join(agents, "dangling"));
    symlinkSync("circle", path.join(agents, "circle"));
    symlinkSync(path.join(outside, "agents", "eve"), path.join(agents, "eve"));
    symlinkSync("bob", path.join(agents, ID));
    mkdirSync(path.join(agents, "stray", "messages"), { recursive: true });
    guideAgent({ root, name: "hidden", folder: ".hidden" });
    put(path.join(agents, ".index.json"), {
      bob: ID,
      x: "../../..",
      y: 7,
      z: "nowhere",
      eve: path.join(outside, "agents", "eve"),
    });
    put(path.join(agents, "a-file"), "not a directory");
    expect(await addressOf(root)).toBe("bob@acme.aimaestro.local");
    for (const agent of ["eve", "dangling", "circle", "x", "a-file"])
      expect(await addressOf(root, { agent }), agent).toBeUndefined();
  });

  it.each(["", "{", "[]", "null", '{"agent":7,"provider":[],"address":{}}', "\0"])(
    "survives a config.json that is none: %j",
    async (content) => {
      const root = scratchRoot();
      const directory = pluginAgent({ root, folder: "bob" });
      put(path.join(directory, "config.json"), content);
      put(path.join(root, "agents", ".index.json"), content);
      expect(await addressOf(root)).toBe("bob@acme.aimaestro.local");
    },
  );

  it("prefers the registration of the provider that config.json names", async () => {
    const root = scratchRoot();
    const directory = guideAgent({ root });
    rmSync(path.join(directory, "api_key"));
    for (const provider of ["a.local", "macbook.acme.aimaestro.local", "z.example.com"]) {
      put(path.join(directory, "registrations", `${provider}.json`), {
        provider,
        apiKey: `key-of-${provider}`,
        address: `bob@${provider}`,
      });
    }
    put(path.join(directory, "registrations", "broken.json"), "{");
    expect(await startAgent({ root }).identity()).toMatchObject({
      profile: { apiKey: "key-of-macbook.acme.aimaestro.local" },
    });
  });
});

describe("the provider", () => {
  it.each([
    [{}, undefined, "http://127.0.0.1:9/api/v1"],
    [{ AMP_MAESTRO_URL: "http://127.0.0.1:1" }, undefined, "http://127.0.0.1:9/api/v1"],
    [
      { AMP_MAESTRO_URL: "http://127.0.0.1:1", AMP_PROVIDER_URL: "http://127.0.0.1:2" },
      undefined,
      "http://127.0.0.1:2",
    ],
    [{ AMP_PROVIDER_URL: "http://127.0.0.1:2" }, "http://127.0.0.1:3", "http://127.0.0.1:3"],
  ])("is the flag, the variable, the registration, in this order: %o %s", async (env, provider, expected) => {
    const root = scratchRoot();
    guideAgent({ root });
    const status = await startAgent({ root, env, ...(provider === undefined ? {} : { provider }) }).status();
    expect(status.provider.value).toBe(expected);
    expect([status.identity.kind, status.offline?.code]).toEqual(["registered", "unreachable"]);
  });
});
