import { execFile } from "node:child_process";
import { createServer } from "node:http";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { build } from "esbuild";
import { afterEach, describe, expect, it } from "vitest";
import { Http, type HttpOptions, type HttpRequest } from "../../src/client/http.ts";
import type { AmpError } from "../../src/errors.ts";
import { type Act, type FakeProvider, refusedUrl, startFakeProvider } from "../support/fake-provider.ts";
import { scratchDirectory } from "../support/provider.ts";

const open: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const opened of open.splice(0)) await opened.close();
});

async function provider(...script: Act[]): Promise<FakeProvider> {
  const started = await startFakeProvider(script);
  open.push(started);
  return started;
}

function http(options: HttpOptions = {}): Http {
  const made = new Http(options);
  open.push(made);
  return made;
}

/** A clock that moves only when somebody waits, and what was waited for. */
function clock(start = Date.UTC(2030, 0, 1)) {
  const waits: number[] = [];
  let time = start;
  return {
    waits,
    now: () => time,
    wait: async (milliseconds: number) => {
      waits.push(milliseconds);
      time += milliseconds;
    },
  };
}

function post(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: "POST", url: new URL(`${url}/route`), apiKey: "amp_live_sk_1", body: '{"b":1,"a":2}', ...more };
}

function failed(asked: Promise<unknown>): Promise<AmpError> {
  return asked.then(
    () => expect.fail("was answered"),
    (thrown) => thrown,
  );
}

const OK: Act = { act: "answer", status: 200, body: { ok: true } };

describe("a request", () => {
  it("carries its body byte for byte and the key in one header", async () => {
    const { url, requests } = await provider(OK);
    const answer = await http().request(post(url));
    expect([answer.status, answer.text]).toEqual([200, '{"ok":true}']);
    expect(requests[0]).toMatchObject({ method: "POST", path: "/route", body: '{"b":1,"a":2}' });
    expect(requests[0]?.headers.authorization).toBe("Bearer amp_live_sk_1");
  });

  it("without a key carries no authorization", async () => {
    const { url, requests } = await provider(OK);
    await http().request({ method: "GET", url: new URL(url) });
    expect(requests[0]?.headers).not.toHaveProperty("authorization");
  });

  it("uses the connections that are there: ten in a row need two at most, one resting while the other answers", async () => {
    const fake = await provider(OK);
    const client = http();
    for (let i = 0; i < 10; i++) await client.request(post(fake.url));
    expect(fake.requests).toHaveLength(10);
    expect(fake.connections()).toBeLessThanOrEqual(2);
  });

  it.each([301, 302, 307, 308])("is not led elsewhere by a redirect, HTTP %i", async (status) => {
    const other = await provider(OK);
    const first = await provider({ act: "answer", status, headers: { location: `${other.url}/route` } });
    expect((await http().request(post(first.url))).status).toBe(status);
    expect(other.requests).toEqual([]);
  });
});

describe("a refused connection", () => {
  it("is tried again, and a provider that begins to listen meanwhile gets the request once", async () => {
    const url = await refusedUrl();
    const received: string[] = [];
    const server = createServer((incoming, outgoing) => {
      received.push(incoming.url ?? "");
      outgoing.end("{}");
    });
    const wait = () => new Promise<void>((resolve) => server.listen(Number(new URL(url).port), "127.0.0.1", resolve));
    const client = http({ wait });
    expect((await client.request(post(url))).status).toBe(200);
    expect(received).toEqual(["/route"]);
    await client.close();
    await new Promise((resolve) => server.close(resolve));
  });

  it("that stays refused is unreachable after two pauses, and nothing was sent", async () => {
    const { waits, ...time } = clock();
    const error = await failed(http(time).request(post(await refusedUrl())));
    expect(error).toMatchObject({ code: "unreachable", notDone: "nothing was sent, nothing was changed." });
    expect(error.message).toContain("ECONNREFUSED");
    expect(waits).toEqual([100, 400]);
  });

  it("is not tried beyond the deadline", async () => {
    const { waits, ...time } = clock();
    await failed(http(time).request(post(await refusedUrl(), { deadline: 300 })));
    expect(waits).toEqual([100]);
  });

  it("asks once for somebody to be started, and goes on at once if that works", async () => {
    const url = await refusedUrl();
    const server = createServer((_, outgoing) => outgoing.end("{}"));
    const asked: string[] = [];
    const revive = async (origin: URL) => {
      asked.push(origin.origin);
      await new Promise<void>((resolve) => server.listen(Number(origin.port), "127.0.0.1", resolve));
      return true;
    };
    const { waits, ...time } = clock();
    const client = http({ ...time, revive });
    expect((await client.request(post(url))).status).toBe(200);
    expect([asked, waits]).toEqual([[url], []]);
    await client.close();
    await new Promise((resolve) => server.close(resolve));
  });

  it("is reported by a program that has nothing else to do, instead of ending it without a word", async () => {
    const directory = scratchDirectory();
    const outfile = path.join(directory, "http.mjs");
    await build({
      stdin: {
        contents: `import { Http } from "./src/client/http.ts";
          const http = new Http();
          await http.request({ method: "GET", url: new URL(process.argv[2]) }).catch((error) => console.log(error.code));
          await http.close();`,
        resolveDir: path.resolve("."),
      },
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      logLevel: "silent",
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    });
    const url = await refusedUrl();
    const said = await new Promise((resolve) =>
      execFile(process.execPath, [outfile, url], (error, stdout) => resolve([error?.code ?? 0, stdout])),
    );
    expect(said).toEqual([0, "unreachable\n"]);
  });
});

describe("an outcome is reported as unknown, and the request is not sent again,", () => {
  it.each(["hang-up", "cut-short"] as const)("when the connection breaks after it was read: %s", async (act) => {
    const fake = await provider({ act });
    const error = await failed(http().request(post(fake.url)));
    expect(error).toMatchObject({ code: "outcome_unknown", notDone: "it was not sent a second time." });
    expect(fake.requests).toHaveLength(1);
  });

  it.each(["silence", "drip"] as const)("when the deadline passes: %s", async (act) => {
    const fake = await provider({ act });
    const error = await failed(http().request(post(fake.url, { deadline: 100 })));
    expect(error).toMatchObject({ code: "outcome_unknown" });
    expect(error.message).toContain("TimeoutError");
    expect(fake.requests).toHaveLength(1);
  });

  it("also when memory was tidied up in between, which once took the deadline with it", async () => {
    setFlagsFromString("--expose-gc");
    const collect: unknown = runInNewContext("gc");
    const fake = await provider({ act: "silence" });
    const asked = failed(http().request(post(fake.url, { deadline: 400 })));
    await expect.poll(() => fake.requests.length).toBe(1);
    for (let i = 0; i < 5; i++) {
      await new Promise(setImmediate);
      if (typeof collect === "function") collect();
    }
    expect((await asked).code).toBe("outcome_unknown");
  });

  it("when the caller gives up while the provider thinks", async () => {
    const fake = await provider({ act: "silence" });
    const caller = new AbortController();
    const asked = failed(http().request(post(fake.url, { signal: caller.signal })));
    await expect.poll(() => fake.requests.length).toBe(1);
    caller.abort();
    expect((await asked).code).toBe("outcome_unknown");
  });
});

describe("a call that was cancelled", () => {
  it("before it began sends nothing", async () => {
    const fake = await provider(OK);
    const error = await failed(http().request(post(fake.url, { signal: AbortSignal.abort() })));
    expect(error).toMatchObject({ name: "AmpError", notDone: "nothing was sent." });
    expect(fake.requests).toEqual([]);
  });

  it("while it waits to try again sends nothing more", async () => {
    const caller = new AbortController();
    const asked = failed(http().request(post(await refusedUrl(), { signal: caller.signal })));
    caller.abort();
    expect(await asked).toMatchObject({ name: "AmpError", notDone: "nothing was sent." });
  });
});

describe("an answer without end", () => {
  it("is given up at the size cap", async () => {
    const fake = await provider({ act: "endless" });
    const error = await failed(http().request(post(fake.url)));
    expect(error).toMatchObject({ code: "too_large" });
    expect(fake.requests).toHaveLength(1);
  });
});

describe("HTTP 429", () => {
  const limited = (headers: Record<string, string>): Act => ({ act: "answer", status: 429, headers, body: {} });
  const soon = Math.floor(Date.UTC(2030, 0, 1) / 1000);

  it.each([
    ["Retry-After in seconds", { "retry-after": "3" }, 3000],
    ["Retry-After as a date", { "retry-after": new Date((soon + 4) * 1000).toUTCString() }, 4000],
    ["X-RateLimit-Reset", { "x-ratelimit-reset": String(soon + 5) }, 5000],
    ["Retry-After before X-RateLimit-Reset", { "retry-after": "2", "x-ratelimit-reset": String(soon + 900) }, 2000],
  ])("is waited out where the deadline allows: %s", async (_, headers, expected) => {
    const fake = await provider(limited(headers), OK);
    const { waits, ...time } = clock();
    expect((await http(time).request(post(fake.url))).status).toBe(200);
    expect([waits, fake.requests.length]).toEqual([[expected], 2]);
  });

  it.each([
    ["later than the deadline", { "retry-after": "61" }, "Call again in 61 s."],
    ["a reset beyond it", { "x-ratelimit-reset": String(soon + 40) }, "Call again in 40 s."],
    ["without a word about when", {}, "Call again in a minute."],
    ["with nonsense", { "retry-after": "soon" }, "Call again in a minute."],
  ])("is an error that says when to come back: %s", async (_, headers, next) => {
    const fake = await provider(limited(headers));
    const { waits, ...time } = clock();
    const error = await failed(http(time).request(post(fake.url)));
    expect(error).toMatchObject({ code: "rate_limited", next, mender: "time" });
    expect([waits, fake.requests.length]).toEqual([[], 1]);
  });

  it.each<Record<string, string>>([{ "retry-after": "0" }, { "x-ratelimit-reset": String(soon - 100) }])(
    "that says `now` again and again is not answered with a storm of requests: %o",
    async (headers) => {
      const fake = await provider(limited(headers));
      const { waits, ...time } = clock();
      const error = await failed(http(time).request(post(fake.url, { deadline: 5000 })));
      expect(error.code).toBe("rate_limited");
      expect(fake.requests.length).toBeLessThanOrEqual(6);
      expect(waits.every((wait) => wait >= 1000)).toBe(true);
    },
  );
});

describe("closing", () => {
  it("ends what is open at once; twice is fine", async () => {
    const fake = await provider({ act: "silence" });
    const client = new Http();
    const asked = failed(client.request(post(fake.url)));
    await expect.poll(() => fake.requests.length).toBe(1);
    await client.close();
    await client.close();
    expect((await asked).code).toBe("outcome_unknown");
  });
});
