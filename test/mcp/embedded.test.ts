import { describe, expect, it } from "vitest";
import {
  type AssistantOptions,
  listedIds,
  sentId,
  startAssistant,
  testHome,
  testProvider,
} from "../support/assistant.ts";
import { refusedUrl } from "../support/fake-provider.ts";
import type { Home } from "../support/home.ts";
import { call } from "../support/provider.ts";

/** A server for one of several agents of one user. */
const as = (name: string, home: Home, more: AssistantOptions = {}) => ({
  ...more,
  home,
  args: ["--embedded", "--agent", name, ...(more.args ?? [])],
});

describe("a server with --embedded", () => {
  it("serves as the provider itself when nobody answers, so that one assistant alone can begin", async () => {
    const url = await refusedUrl();
    const alice = await startAssistant(url, { args: ["--embedded", "--tenant", "home"] });
    expect((await alice.call("amp_status")).structured).toMatchObject({
      reachable: true,
      provider_name: "home.aimaestro.local",
    });
    await alice.call("amp_register", { name: "alice" });
    const id = sentId(await alice.call("amp_send", { to: "alice", subject: "S", message: "M" }));
    expect(listedIds(await alice.call("amp_inbox"))).toEqual([id]);
    expect(await call(url, "GET", "/api/v1/health")).toMatchObject({ status: 200 });
    expect(alice.stderr()).toBe("");
  });

  it("is asked for by AMP_EMBEDDED=1 too", async () => {
    const url = await refusedUrl();
    const alice = await startAssistant(url, { env: { AMP_EMBEDDED: "1" } });
    expect((await alice.call("amp_register", { name: "alice" })).isError).toBe(false);
  });

  it("uses whoever is there already", async () => {
    const { url } = await testProvider();
    const alice = await startAssistant(url, { args: ["--embedded", "--tenant", "other"] });
    await alice.call("amp_register", { name: "alice" });
    expect((await alice.call("amp_status")).lines[0]).toBe("agent: alice@local.aimaestro.local");
    await alice.close();
    expect(await call(url, "GET", "/api/v1/health")).toMatchObject({ status: 200 });
  });

  it("keeps its queue where it is told", async () => {
    const home = testHome();
    const alice = await startAssistant(await refusedUrl(), { home, args: ["--embedded", "--data", home.at("queue")] });
    await alice.call("amp_register", { name: "alice" });
    const again = await startAssistant(await refusedUrl(), {
      home,
      args: ["--embedded", "--data", home.at("queue")],
    });
    const sent = await again.call("amp_send", { to: "alice", subject: "S", message: "M" });
    expect(sent.structured).toMatchObject({ status: "queued" });
  });
});

it("without it nothing listens", async () => {
  const url = await refusedUrl();
  const alice = await startAssistant(url, { env: { AMP_EMBEDDED: "0" } });
  expect((await alice.call("amp_status")).structured).toMatchObject({ reachable: false });
  expect((await alice.call("amp_register", { name: "alice" })).isError).toBe(true);
  await expect(fetch(`${url}/api/v1/health`)).rejects.toThrow();
});

describe("two servers on one free port", () => {
  it("started at once both work, and reach each other", async () => {
    const url = await refusedUrl();
    const home = testHome();
    const [alice, bob] = await Promise.all([
      startAssistant(url, as("alice", home)),
      startAssistant(url, as("bob", home, { line: "1.x" })),
    ]);
    const registered = await Promise.all([
      alice.call("amp_register", { name: "alice" }),
      bob.call("amp_register", { name: "bob" }),
    ]);
    expect(registered.map(({ text, isError }) => (isError ? text : "fine"))).toEqual(["fine", "fine"]);
    const sent = await Promise.all([
      alice.call("amp_send", { to: "bob", subject: "S", message: "to bob" }),
      bob.call("amp_send", { to: "alice", subject: "S", message: "to alice" }),
    ]);
    const listed = await Promise.all([bob.call("amp_inbox"), alice.call("amp_inbox")]);
    expect(listed.map(listedIds)).toEqual(sent.map((told) => [sentId(told)]));
  });

  it("survive the one that serves: the other takes over, and no message is lost", async () => {
    const url = await refusedUrl();
    const home = testHome();
    const first = await startAssistant(url, as("alice", home));
    await first.call("amp_register", { name: "alice" });
    const second = await startAssistant(url, as("bob", home));
    await second.call("amp_register", { name: "bob" });
    const sent = await first.call("amp_send", { to: "bob", subject: "S", message: "before the end" });
    await first.kill();
    const listed = await second.call("amp_inbox");
    expect(listed.text).not.toContain("could not be asked");
    expect(listedIds(listed)).toEqual([sentId(sent)]);
    const answered = await second.call("amp_reply", { message_id: sentId(sent), message: "after it" });
    const third = await startAssistant(url, as("alice", home));
    expect(listedIds(await third.call("amp_inbox"))).toEqual([sentId(answered)]);
  });
});
