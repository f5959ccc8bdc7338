import { afterEach, describe, expect, it } from "vitest";
import { type Act, type FakeProvider, refusedUrl, startFakeProvider } from "./fake-provider.ts";

let provider: FakeProvider | undefined;
afterEach(async () => {
  await provider?.close();
  provider = undefined;
});

async function start(...script: Act[]): Promise<FakeProvider> {
  provider = await startFakeProvider(script);
  return provider;
}

describe("a fake provider", () => {
  it("answers by the list, repeats its last entry, and keeps what it was asked", async () => {
    const { url, requests } = await start(
      { act: "answer", status: 429, headers: { "retry-after": "1" }, body: { error: "rate_limited" } },
      { act: "answer", status: 500, body: "<html></html>" },
    );
    const first = await fetch(`${url}/a?b=c`, { method: "POST", body: "text" });
    expect([first.status, first.headers.get("retry-after"), await first.json()]).toEqual([
      429,
      "1",
      { error: "rate_limited" },
    ]);
    for (const _ of [1, 2]) expect(await (await fetch(url)).text()).toBe("<html></html>");
    expect(requests[0]).toMatchObject({ method: "POST", path: "/a?b=c", body: "text" });
    expect(requests).toHaveLength(3);
  });

  it("answers by a function of the request", async () => {
    provider = await startFakeProvider(({ path }, index) => ({ act: "answer", status: 200, body: { path, index } }));
    await fetch(provider.url);
    expect(await (await fetch(`${provider.url}/x`)).json()).toEqual({ path: "/x", index: 1 });
  });

  it("hangs up after the request has come", async () => {
    const { url, requests } = await start({ act: "hang-up" });
    await expect(fetch(url, { method: "POST", body: "{}" })).rejects.toThrow();
    expect(requests).toHaveLength(1);
  });

  it("cuts an answer short", async () => {
    const { url } = await start({ act: "cut-short" });
    await expect(fetch(url).then((response) => response.text())).rejects.toThrow();
  });

  it("says nothing, until the caller gives up", async () => {
    const { url, requests } = await start({ act: "silence" });
    const caller = new AbortController();
    const asked = fetch(url, { signal: caller.signal });
    await expect.poll(() => requests.length).toBe(1);
    caller.abort();
    await expect(asked).rejects.toThrow(/abort/);
  });

  it.each(["drip", "endless"] as const)("begins an answer and never ends it: %s", async (act) => {
    const { url } = await start({ act });
    const { body, status } = await fetch(url);
    const reader = body?.getReader();
    let bytes = 0;
    while (bytes < (act === "drip" ? 15 : 1_000_000)) bytes += (await reader?.read())?.value?.length ?? 0;
    expect(status).toBe(200);
    await reader?.cancel();
  });

  it("refuses a connection where nobody listens", async () => {
    await expect(fetch(await refusedUrl())).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  });
});
