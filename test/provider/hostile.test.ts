import { readdirSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type Provider, startProvider } from "../../src/provider/server.ts";
import * as api from "../support/provider.ts";

let dataDirectory: string;
let provider: Provider;
let agent: api.TestAgent;

beforeEach(async () => {
  dataDirectory = api.scratchDirectory();
  provider = await startProvider({ dataDirectory, ratePerMinute: 0 });
  onTestFinished(() => provider.close());
  agent = await api.registerAgent(provider.url, "agent");
});

describe("an id from a request", () => {
  it.each([
    "../../agents/agent.json",
    "..",
    ".",
    "000000000001",
    "000000000001_msg_1_aaaaaaa",
    "a\0b",
    "con",
    "x".repeat(5000),
    "msg_*",
    "%2e%2e%2f",
  ])("never becomes a path: %j", async (id) => {
    await api.send(provider.url, agent, api.message("agent"));
    const query = `?id=${encodeURIComponent(id)}`;
    const byQuery = await api.call(provider.url, "DELETE", `/api/v1/messages/pending${query}`, { key: agent.key });
    expect([byQuery.status, byQuery.body.error]).toEqual([404, "not_found"]);
    const body = { ids: [id, 5, null, { id }] };
    const batch = await api.call(provider.url, "POST", "/api/v1/messages/pending", { key: agent.key, body });
    expect(batch.body).toEqual({ acknowledged: 0 });
    expect(readdirSync(path.join(dataDirectory, "agents"))).toEqual(["agent.json"]);
    expect((await api.pending(provider.url, agent)).body.count).toBe(1);
  });
});

describe("a body", () => {
  it.each(["[]", "null", '"text"', "5", "{", '{"to":"agent",}', "\u0000", "\ufeff["])(
    "that is no JSON object gets a 400, not a 500: %j",
    async (body) => {
      for (const path of ["/api/v1/register", "/api/v1/route", "/api/v1/messages/pending"]) {
        const answer = await api.call(provider.url, "POST", path, { key: agent.key, body });
        expect([answer.status, answer.body]).toEqual([400, { error: "invalid_request", message: "Invalid JSON body" }]);
      }
    },
  );

  it("nested deep enough to exhaust a stack is refused, signed or not", async () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
    for (const signature of ["", '"signature":"AAAA",']) {
      const body = `{"to":"agent","subject":"s",${signature}"payload":{"type":"t","message":"m","context":${deep}}}`;
      const answer = await api.send(provider.url, agent, body);
      expect([answer.status, answer.body.field]).toEqual([400, "payload"]);
    }
    expect((await api.call(provider.url, "GET", "/api/v1/health")).status).toBe(200);
  });

  it.each(["/api/v1/route", "/api/v1/register", "/api/v1/messages/pending"])(
    "of more than 1 MiB is refused in whatever framing, and the provider lives on: %s",
    async (path) => {
      const body = `{"to":"agent","subject":"${"x".repeat(3 * 1024 * 1024)}"}`;
      const declared = await api.call(provider.url, "POST", path, { key: agent.key, body });
      expect([declared.status, declared.body.error]).toEqual([413, "payload_too_large"]);
      const chunked = await rawChunked(provider.port, path, agent.key, body);
      expect(chunked).toMatch(/^HTTP\/1\.1 413 /);
      expect((await api.pending(provider.url, agent)).body.count).toBe(0);
    },
  );
});

describe("a request", () => {
  it("from a web page is refused: pages of any origin reach a loopback port", async () => {
    for (const origin of ["https://evil.example", provider.url, "null"]) {
      const answer = await api.call(provider.url, "POST", "/api/v1/register", {
        headers: { Origin: origin, "Content-Type": "text/plain" },
        body: api.registration("page", agent.keys),
      });
      expect([answer.status, answer.body.error]).toEqual([403, "forbidden"]);
    }
  });

  it.each(["", "Bearer ", "Bearer", "Basic YTpi", "Bearer amp_live_sk_", "Bearer ../api-keys/x", "bearer KEY"])(
    "without a valid key is refused: %j",
    async (header) => {
      for (const [method, path] of [
        ["GET", "/api/v1/messages/pending"],
        ["GET", "/api/v1/agents/me"],
        ["POST", "/api/v1/route"],
        ["DELETE", "/api/v1/messages/pending?id=x"],
      ] as const) {
        const headers = { Authorization: header.replace("KEY", agent.key) };
        expect((await api.call(provider.url, method, path, { headers })).status).toBe(401);
      }
    },
  );

  it.each(["/", "/api/v1", "/v1/info", "/api/v1/nothing", "/api/v1/register", "/api/v1/messages/pending/x", "/%"])(
    "for a path that is not there gets AI Maestro's 404: GET %s",
    async (path) => {
      const answer = await api.call(provider.url, "GET", path);
      expect([answer.status, answer.body]).toEqual([404, { error: "Not found" }]);
    },
  );
});

/** A chunked upload on a bare socket, written on whatever the server says meanwhile; its answer. */
function rawChunked(port: number, path: string, key: string, body: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("data", (text) => {
      answer += text;
      socket.end();
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", (error) => (answer === "" ? reject(error) : resolve(answer)));
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${key}\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    socket.write(`${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`);
  });
}
