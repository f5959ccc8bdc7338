import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Provider, startProvider } from "../../src/provider/server.ts";
import { type Answer, call } from "../support/provider.ts";

interface Exchange {
  name: string;
  request: { method: string; path: string; headers: Record<string, string>; body: unknown };
  response: { status: number; headers: Record<string, string>; body: Record<string, unknown> };
}

const recorded: { exchanges: Exchange[] } = JSON.parse(
  readFileSync(new URL("../vectors/maestro/head.json", import.meta.url), "utf8"),
);

const INVALID_JSON = { status: 400, error: "invalid_request" };
/** Where this provider means to answer otherwise, and how. */
const WANTED: Record<string, { status: number; error?: string }> = {
  "045-route-uppercase-full": { status: 200 },
  // This provider has no host id; its own name for itself is `local`.
  "043-route-at-hostid": { status: 404, error: "not_found" },
  "046-route-org-hostid-form": { status: 404, error: "not_found" },
  "050-route-name-at-hostid-only": { status: 404, error: "not_found" },
  "058-route-external-2label": { status: 422, error: "external_provider" },
  "031-register-invalid-json": INVALID_JSON,
  "109-route-invalid-json": INVALID_JSON,
  "128-ack-batch-bad-json": INVALID_JSON,
  "101-route-1MB-plus-chunked": { status: 413, error: "payload_too_large" },
  "144-agents-resolve-foreign-domain": { status: 404, error: "not_found" },
};
/** AI Maestro makes up people's names for aliases and suggestions, and knows other hosts. */
const OTHER_WORDS = ["056-route-unknown-hostid"];

describe("the exchanges recorded with AI Maestro, in their order", () => {
  const dataDirectory = mkdtempSync(path.join(os.tmpdir(), "amp-replay-"));
  const keys = new Map<string, string>();
  let provider: Provider;

  beforeAll(async () => {
    provider = await startProvider({ dataDirectory, tenant: "testorg", now: () => 1_800_000_000_000 });
  });
  afterAll(async () => {
    await provider.close();
    rmSync(dataDirectory, { recursive: true, force: true });
  });

  it.each(recorded.exchanges)("$name", async ({ name, request, response }) => {
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([header, value]) => [
        header,
        value.replace(/amp_live_sk_\w+/, (masked) => keys.get(masked) ?? masked),
      ]),
    );
    const answer = name.endsWith("chunked")
      ? await callChunked(provider.url, request.path, headers, largeBody(1_048_680))
      : await call(provider.url, request.method, request.path, {
          headers,
          ...(request.body === null ? {} : { body: bodyOf(request.body) }),
        });
    const masked = response.body.api_key;
    if (typeof masked === "string" && answer.status === 201) keys.set(masked, answer.body.api_key);

    const wanted = WANTED[name];
    if (wanted) {
      expect(answer).toMatchObject({ status: wanted.status });
      expect(answer.body.error).toBe(wanted.error);
      return;
    }
    expect(answer.status).toBe(response.status);
    expect(shape(known(answer.body))).toEqual(shape(queued(response.body)));
    for (const field of ["error", "field", "address", "short_address", "local_name", "tenant", "fingerprint", "did"]) {
      expect(answer.body[field]).toEqual(response.body[field]);
    }
    if (!OTHER_WORDS.includes(name)) expect(answer.body.message).toEqual(response.body.message);
    for (const header of Object.keys(response.headers)) expect(answer.headers.get(header), header).not.toBeNull();
  });

  it("left the messages that AI Maestro delivered in the recipient's queue", async () => {
    const key = [...keys.values()][1] ?? "";
    const { body } = await call(provider.url, "GET", "/api/v1/messages/pending?limit=100", { key });
    const subjects = body.messages.map(({ envelope }) => envelope.subject);
    expect(subjects.filter((subject) => subject === "Signed")).toHaveLength(2);
    expect(subjects).toContain("Re: Signed");
  });
});

/** The names of the members, and of those of `details` and `provider`. */
function shape(body: Record<string, unknown>): unknown {
  const nested = ["details", "provider"].map((member) => Object.keys(Object(body[member])).sort());
  return [Object.keys(body).sort(), ...nested];
}

/** The answer without what section 12 of the protocol has added since the recording; AI Maestro said none of it. */
function known({ basis, next_cursor, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return rest;
}

/** What AI Maestro delivers to a directory on its disk waits in a queue here. */
function queued(body: Record<string, unknown>): Record<string, unknown> {
  const { delivered_at, ...rest } = body;
  return delivered_at === undefined ? body : { ...rest, queued_at: delivered_at };
}

function bodyOf(recordedBody: unknown): unknown {
  const omitted = /^<(\d+) bytes omitted>$/.exec(String(recordedBody))?.[1];
  return omitted === undefined ? recordedBody : largeBody(Number(omitted));
}

function largeBody(bytes: number): string {
  const body = { to: "beta", subject: "Large", payload: { type: "request", message: "" } };
  const padding = bytes - JSON.stringify(body).length;
  return JSON.stringify({ ...body, payload: { type: "request", message: "x".repeat(padding) } });
}

async function callChunked(url: string, path: string, headers: Record<string, string>, body: string): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers,
    body: new Blob([body]).stream(),
    duplex: "half",
  });
  return { status: response.status, headers: response.headers, body: JSON.parse(await response.text()) };
}
