import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type Provider, startProvider } from "../../src/provider/server.ts";
import { fingerprint, generateKeyPair } from "../../src/wire/keys.ts";
import * as api from "../support/provider.ts";

let dataDirectory: string;
let provider: Provider;

beforeEach(async () => {
  dataDirectory = api.scratchDirectory();
  provider = await startProvider({ dataDirectory });
  onTestFinished(() => provider.close());
});

function register(body: Record<string, unknown>): Promise<api.Answer> {
  return api.call(provider.url, "POST", "/api/v1/register", { body });
}

describe("registering", () => {
  it("answers with every field of AI Maestro, and a URL that works", async () => {
    const keys = await generateKeyPair();
    const { status, body } = await register(api.registration("Alpha", keys));
    expect(status).toBe(201);
    expect(body).toEqual({
      address: "alpha@local.aimaestro.local",
      short_address: "alpha@local.aimaestro.local",
      local_name: "alpha",
      agent_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/),
      tenant_id: "local",
      tenant: "local",
      api_key: expect.stringMatching(/^amp_live_sk_[0-9a-f]{64}$/),
      provider: {
        name: "local.aimaestro.local",
        endpoint: `${provider.url}/api/v1`,
        route_url: `${provider.url}/api/v1/route`,
      },
      fingerprint: fingerprint(keys.publicKey),
      registered_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
  });

  it("again with the same name and key gives a new API key and the same identity; the old key still works", async () => {
    const first = await api.registerAgent(provider.url, "alpha");
    const second = await api.registerAgent(provider.url, "alpha", { keys: first.keys, more: { alias: "The First" } });
    expect(second.id).toBe(first.id);
    expect(second.key).not.toBe(first.key);
    await api.registerAgent(provider.url, "alpha", { keys: first.keys });
    for (const agent of [first, second]) {
      const me = await api.call(provider.url, "GET", "/api/v1/agents/me", { key: agent.key });
      expect([me.status, me.body.alias]).toEqual([200, "The First"]);
    }
  });

  it("a name that is taken is refused with names that are free", async () => {
    await api.registerAgent(provider.url, "alpha");
    await api.registerAgent(provider.url, "alpha-2");
    const { status, body } = await register(api.registration("ALPHA", await generateKeyPair()));
    expect([status, body.error]).toEqual([409, "name_taken"]);
    expect(body.details.suggestions).toEqual(["alpha-3", "alpha-4", "alpha-5"]);
    const long = "a".repeat(63);
    await api.registerAgent(provider.url, long);
    const refused = await register(api.registration(long, await generateKeyPair()));
    for (const suggestion of refused.body.details.suggestions) {
      expect((await register(api.registration(suggestion, await generateKeyPair()))).status).toBe(201);
    }
  });

  it("a key under a second name is refused, and the second name stays free", async () => {
    const alpha = await api.registerAgent(provider.url, "alpha");
    const { status, body } = await register(api.registration("beta", alpha.keys));
    expect([status, body.error]).toEqual([409, "key_already_registered"]);
    expect(body.details).toEqual({ fingerprint: fingerprint(alpha.keys.publicKey) });
    expect((await api.registerAgent(provider.url, "beta")).name).toBe("beta");
  });

  it("takes the client's agent id, but never one that somebody else has: it names a queue", async () => {
    const wanted = "ABCDEF01-2222-4333-8444-555555555555";
    const victim = await api.registerAgent(provider.url, "victim", { more: { agent_id: wanted } });
    expect(victim.id).toBe(wanted.toLowerCase());
    await api.send(provider.url, victim, api.message("victim"));
    for (const agent_id of [wanted, wanted.toLowerCase(), "../../agents", "..", "x/y", ""]) {
      const name = `thief-${[...agent_id].length}-${agent_id === wanted ? 1 : 2}`;
      const thief = await api.registerAgent(provider.url, name, { more: { agent_id } });
      expect(thief.id).not.toBe(victim.id);
      expect(thief.id).toMatch(/^[0-9a-f-]{36}$/);
      expect((await api.pending(provider.url, thief)).body.count).toBe(0);
    }
  });

  it.each([
    ["name", { name: "a_b" }],
    ["name", { name: "-a" }],
    ["name", { name: "a".repeat(64) }],
    ["name", { name: "../../etc" }],
    ["name", { name: "a/b" }],
    ["name", { name: "ａlpha" }],
    ["name", { name: 7 }],
    ["tenant", { tenant: "testorg" }],
    ["tenant", { tenant: "LOCAL" }],
    ["public_key", { public_key: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" }],
    ["scope", { scope: { platform: "../x", repo: "y" } }],
    ["alias", { alias: "x".repeat(129) }],
    ["delivery", { delivery: { deep: JSON.parse(`${"[".repeat(80)}${"]".repeat(80)}`) } }],
  ])("refuses a bad %s: %j", async (field, change) => {
    const { status, body } = await register({ ...api.registration("alpha", await generateKeyPair()), ...change });
    expect([status, body.field]).toEqual([400, field]);
    expect(readdirSync(path.join(dataDirectory, "agents"))).toEqual([]);
  });

  it("names that Windows keeps for devices are names like others", async () => {
    const agent = await api.registerAgent(provider.url, "con");
    expect((await api.send(provider.url, agent, api.message("con"))).status).toBe(200);
    expect(readdirSync(path.join(dataDirectory, "agents"))).not.toContain("con.json");
  });
});

describe("the directory of agents", () => {
  it("lists, searches and resolves who is registered, to registered agents only", async () => {
    const alpha = await api.registerAgent(provider.url, "alpha", { more: { alias: "Haim" } });
    await api.registerAgent(provider.url, "beta");
    const get = (path: string, key = alpha.key) => api.call(provider.url, "GET", `/api/v1${path}`, { key });
    expect((await get("/agents")).body).toEqual({
      agents: [
        { address: "alpha@local.aimaestro.local", alias: "Haim", online: false },
        { address: "beta@local.aimaestro.local", alias: "beta", online: false },
      ],
      total: 2,
    });
    expect((await get("/agents?search=HAI")).body.total).toBe(1);
    expect((await get("/agents/resolve/BETA@local")).body.address).toBe("beta@local.aimaestro.local");
    for (const asked of ["nobody", "alpha@other.example.com", "..%2f..%2fagents%2falpha", "%00", "%E0%A4%A"]) {
      expect((await get(`/agents/resolve/${asked}`)).status, asked).toBe(404);
    }
    expect((await get("/agents", "amp_live_sk_nope")).status).toBe(401);
  });
});

describe("what lies on the disk", () => {
  it("holds no API key, in no file", async () => {
    const alpha = await api.registerAgent(provider.url, "alpha");
    const again = await api.registerAgent(provider.url, "alpha", { keys: alpha.keys });
    await api.send(provider.url, alpha, api.message("alpha"));
    const files = everything(dataDirectory).filter((file) => statSync(file).isFile());
    expect(files.length).toBeGreaterThanOrEqual(6);
    for (const file of files) {
      const content = `${file}\n${readFileSync(file, "utf8")}`;
      for (const { key } of [alpha, again]) expect(content).not.toContain(key.slice("amp_live_sk_".length));
      expect(content).not.toContain("amp_live_sk_");
    }
  });

  it.skipIf(process.platform === "win32")("is for this user only, and no temporary file stays", async () => {
    const alpha = await api.registerAgent(provider.url, "alpha");
    await api.send(provider.url, alpha, api.message("alpha"));
    for (const entry of everything(dataDirectory)) {
      const stat = statSync(entry);
      expect((stat.mode & 0o777).toString(8), entry).toBe(stat.isDirectory() ? "700" : "600");
    }
    expect(readdirSync(path.join(dataDirectory, "tmp"))).toEqual([]);
  });
});

function everything(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).map((entry) => path.join(directory, entry));
}
