import { generateKeyPairSync, sign } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createHome, type Home } from "./home.ts";
import type { MaestroVersion } from "./maestro/state.ts";
import { type Maestro, type MaestroOptions, startMaestro } from "./maestro.ts";

interface Exchange {
  request: { method: string; path: string; headers: Record<string, string | number>; body: unknown };
  response: { status: number; headers: Record<string, string>; body: unknown };
}

let home: Home;
let maestro: Maestro | undefined;
beforeEach(() => {
  home = createHome();
});
afterEach(async () => {
  await maestro?.close();
  maestro = undefined;
  home.remove();
});

async function start(options: Omit<MaestroOptions, "home">): Promise<Maestro> {
  maestro = await startMaestro({ ...options, home: home.path });
  return maestro;
}

async function call(url: string, method: string, body?: unknown, apiKey?: string) {
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json", ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json();
  return { status: response.status, headers: response.headers, body: answer };
}

function newKey() {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return { pem: publicKey.export({ format: "pem", type: "spki" }), privateKey };
}

async function join(server: Maestro, name: string, key = newKey(), more: Record<string, unknown> = {}) {
  const { body } = await call(`${server.url}/api/v1/register`, "POST", {
    tenant: "testorg",
    name,
    public_key: key.pem,
    key_algorithm: "Ed25519",
    ...more,
  });
  return { id: text(body, "agent_id"), apiKey: text(body, "api_key"), key };
}

function send(server: Maestro, apiKey: string, to: string, more: Record<string, unknown> = {}) {
  const mail = { to, subject: "full", payload: { type: "request", message: "ws test full" }, ...more };
  return call(`${server.url}/api/v1/route`, "POST", mail, apiKey);
}

function text(value: unknown, key: string): string {
  const found = new Map(Object.entries(value ?? {})).get(key);
  if (typeof found !== "string") throw new Error(`no ${key} in ${JSON.stringify(value)}`);
  return found;
}

/** Differs from one run to the next, and the wording of Node's JSON errors from one Node to the next. */
const VOLATILE =
  /^(?:id|agent_id|api_key|registered_at|queued_at|delivered_at|expires_at|timestamp|setAt|uptime_seconds|suggestions|alias)$/;

function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== "object" || value === null) return value;
  const isParserError = Object.values(value).includes("internal_error");
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      return [key, VOLATILE.test(key) || (isParserError && key === "message") ? `<${key}>` : masked(member)];
    }),
  );
}

describe.each<MaestroVersion>(["seed", "head"])("the re-created %s", (version) => {
  it("answers a recorded conversation as it was answered", async () => {
    const server = await start({ version, organization: null });
    const vectors = new URL(`../vectors/maestro-${version}/`, import.meta.url);
    /** What was recorded (keys, ids) and what stands for it in this run. */
    const stands = new Map<string, string>();
    const translate = (value: string) => [...stands].reduce((sum, [from, to]) => sum.replaceAll(from, to), value);
    for (const file of readdirSync(vectors).filter((name) => /^\d+-.*\.json$/.test(name))) {
      const { request, response }: Exchange = JSON.parse(readFileSync(new URL(file, vectors), "utf8"));
      const { method, body } = request;
      const raw = body === null ? undefined : typeof body === "string" ? body : JSON.stringify(body);
      const headers = Object.entries(request.headers)
        .filter(([name]) => name !== "Content-Length")
        .map(([name, value]): [string, string] => [name, translate(String(value))]);
      const got = await fetch(server.url + translate(request.path), {
        method,
        headers,
        // What was signed stays as it is, the id in `in_reply_to` included.
        ...(raw !== undefined && { body: request.path.endsWith("/route") ? raw : translate(raw) }),
      });
      const gotText = await got.text();
      expect({ file, status: got.status }).toEqual({ file, status: response.status });
      const type = response.headers["content-type"];
      expect({ file, type: got.headers.get("content-type") }).toEqual({ file, type: type ?? null });
      for (const name of ["cache-control", "x-powered-by", "x-ratelimit-limit", "retry-after"]) {
        expect({ file, [name]: got.headers.get(name) }).toEqual({ file, [name]: response.headers[name] ?? null });
      }
      if (type !== "application/json") continue;
      const gotBody: unknown = JSON.parse(gotText);
      for (const key of ["api_key", "id"]) {
        const [was, is] = [response.body, gotBody].map((from) => new Map(Object.entries(from ?? {})).get(key));
        if (typeof was === "string" && typeof is === "string") stands.set(was, is);
      }
      const expected: unknown = JSON.parse(translate(JSON.stringify(response.body)));
      expect({ file, body: masked(gotBody) }).toEqual({ file, body: masked(expected) });
    }
    expect(server.requests.length).toBeGreaterThan(40);
  });
});

describe("seed", () => {
  it("hands out what was sent to a bare name or a host, and loses what was sent to the registered address", async () => {
    const server = await start({ version: "seed" });
    const alpha = await join(server, "alpha");
    const beta = await join(server, "beta");
    for (const to of ["beta", "beta@vm.aimaestro.local", "beta@testorg.aimaestro.local"]) {
      await send(server, alpha.apiKey, to);
    }
    const pending = await call(`${server.url}/api/v1/messages/pending`, "GET", undefined, beta.apiKey);
    expect(pending.body).toMatchObject({ count: 2, remaining: 0 });
    expect([...server.relay.keys()].sort()).toEqual([beta.id, "beta@testorg"].sort());
    expect(existsSync(home.at(".agent-messaging"))).toBe(false);
  });

  it("loses nothing where the organization is called as the host", async () => {
    const server = await start({ version: "seed", organization: "vm" });
    const alpha = await join(server, "alpha", newKey(), { tenant: "vm" });
    const beta = await join(server, "beta", newKey(), { tenant: "vm" });
    await send(server, alpha.apiKey, "beta@vm.aimaestro.local");
    expect([...server.relay.keys()]).toEqual([beta.id]);
  });
});

describe("head", () => {
  it("writes a message into the recipient's inbox on its disk, as recorded, and leaves the queue empty", async () => {
    const recorded: { path: string; content: unknown } = JSON.parse(
      readFileSync(new URL("../vectors/maestro-head/inbox-file.json", import.meta.url), "utf8"),
    );
    const server = await start({ version: "head" });
    const alpha = await join(server, "wsaztr8");
    const beta = await join(server, "wsbztr8");
    const { body } = await send(server, alpha.apiKey, "wsbztr8@testorg.aimaestro.local");
    const id = text(body, "id");
    const agent = home.at(".agent-messaging", "agents", beta.id);
    const file = path.join(agent, "messages", "inbox", "wsaztr8_testorg_aimaestro_local", `${id}.json`);
    const vary = { thread_id: "", sender_public_key: "", received_at: "" };
    const without = (value: unknown) =>
      JSON.parse(JSON.stringify(masked(value), (key, member: unknown) => (key in vary ? "" : member)));
    const written: unknown = JSON.parse(readFileSync(file, "utf8"));
    expect(without(written)).toEqual(without(recorded.content));
    expect(JSON.stringify(written)).toContain(server.agents.get(alpha.id)?.publicKeyHex);
    expect(JSON.stringify(written)).toContain(`"thread_id":"${id}"`);
    const pending = await call(`${server.url}/api/v1/messages/pending`, "GET", undefined, beta.apiKey);
    expect(pending.body).toEqual({ messages: [], count: 0, remaining: 0 });
  });

  it("takes the agent's own id, makes its directories and its place in the index", async () => {
    const server = await start({ version: "head" });
    const id = "11111111-2222-4333-8444-555555555555";
    expect((await join(server, "alpha", newKey(), { agent_id: id })).id).toBe(id);
    const agents = home.at(".agent-messaging", "agents");
    expect(JSON.parse(readFileSync(path.join(agents, ".index.json"), "utf8"))).toEqual({ alpha: id });
    expect(readdirSync(path.join(agents, id)).sort()).toEqual(["config.json", "keys", "messages", "registrations"]);
  });

  it("moves a directory of the agent's name to the agent's id, but not onto a link that stands there", async () => {
    const server = await start({ version: "head" });
    const agents = home.at(".agent-messaging", "agents");
    const id = "11111111-2222-4333-8444-555555555555";
    for (const name of ["alpha", "beta"]) {
      mkdirSync(path.join(agents, name, "keys"), { recursive: true });
      writeFileSync(path.join(agents, name, "keys", "private.pem"), name);
    }
    symlinkSync("beta", path.join(agents, id));
    const alpha = await join(server, "alpha");
    await join(server, "beta", newKey(), { agent_id: id });
    expect(existsSync(path.join(agents, "alpha"))).toBe(false);
    expect(readFileSync(path.join(agents, alpha.id, "keys", "private.pem"), "utf8")).toBe("alpha");
    expect(lstatSync(path.join(agents, id)).isSymbolicLink()).toBe(true);
    expect(readdirSync(path.join(agents, "beta")).sort()).toEqual(["config.json", "keys", "messages", "registrations"]);
  });

  it("checks a signature over the payload with its keys sorted", async () => {
    const server = await start({ version: "head" });
    const { apiKey, key } = await join(server, "alpha");
    await join(server, "beta");
    const payload = { type: "request", message: "hi", context: { b: 1, a: 2 } };
    // openssl dgst -sha256 of {"context":{"a":2,"b":1},"message":"hi","type":"request"}
    const hash = "TE2QIpB4Gsn/CNEvxIqgY6j/NRM6YydJHoOqRZktlIQ=";
    const signed = sign(null, Buffer.from(`alpha@testorg.aimaestro.local|beta|S|normal||${hash}`), key.privateKey);
    const mail = { subject: "S", payload, signature: signed.toString("base64") };
    expect((await send(server, apiKey, "beta", mail)).status).toBe(200);
    expect((await send(server, apiKey, "beta", { ...mail, subject: "T" })).body).toMatchObject({
      error: "invalid_signature",
    });
  });

  it("limits an agent's messages, says when to come back in its own header, and lets other agents on", async () => {
    const server = await start({ version: "head", rateLimit: 2 });
    const alpha = await join(server, "alpha");
    const beta = await join(server, "beta");
    await send(server, alpha.apiKey, "beta");
    expect((await send(server, alpha.apiKey, "nobody")).status).toBe(404);
    const refused = await send(server, alpha.apiKey, "beta");
    expect(refused).toMatchObject({ status: 429, body: { error: "rate_limited" } });
    expect(refused.headers.get("x-ratelimit-remaining")).toBe("0");
    expect(Number(refused.headers.get("x-ratelimit-reset"))).toBeGreaterThan(Date.now() / 1000);
    expect(refused.headers.get("retry-after")).toBeNull();
    expect((await send(server, beta.apiKey, "alpha")).status).toBe(200);
  });

  it("refuses more than 1 MiB", async () => {
    const server = await start({ version: "head" });
    const { apiKey } = await join(server, "alpha");
    const payload = { type: "request", message: "x".repeat(1024 * 1024) };
    expect(await send(server, apiKey, "alpha", { payload })).toMatchObject({ status: 413 });
  });
});
