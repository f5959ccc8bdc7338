import { ResourceUpdatedNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { messageFile, put } from "../support/agent.ts";
import { sentId, startRegistered, testHome, testProvider } from "../support/assistant.ts";
import type { Home } from "../support/home.ts";
import { connectClient, connectOldClient } from "../support/mcp-clients.ts";

const INBOX = "amp://inbox";

/** A client for bob's server, and the updates that it gets once it has asked for them. */
interface Listener {
  updates: string[];
  ask(): Promise<void>;
  stop(): Promise<void>;
}

type Connect = (home: Home, url: string) => Promise<Listener>;

const options = (home: Home, url: string) => ({
  env: { ...home.env, AMP_PROVIDER_URL: url },
  args: ["--agent", "bob"],
  cwd: home.path,
});

const modern: Connect = async (home, url) => {
  const { client, close } = await connectClient(options(home, url));
  onTestFinished(close);
  const updates: string[] = [];
  client.setNotificationHandler("notifications/resources/updated", ({ params }) => void updates.push(params.uri));
  let subscription: { close(): Promise<void> } | undefined;
  return {
    updates,
    async ask() {
      subscription = await client.listen({ resourceSubscriptions: [INBOX] });
    },
    async stop() {
      await subscription?.close();
    },
  };
};

const old: Connect = async (home, url) => {
  const { client, close } = await connectOldClient(options(home, url));
  onTestFinished(close);
  const updates: string[] = [];
  client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void updates.push(params.uri));
  return {
    updates,
    async ask() {
      await client.subscribeResource({ uri: INBOX });
    },
    async stop() {
      await client.unsubscribeResource({ uri: INBOX });
    },
  };
};

describe.each([
  ["listens, in the 2026-07-28 protocol,", modern],
  ["subscribed, with the client of the 1.x SDK,", old],
])("a host that %s", (_what, connect) => {
  it("hears when mail comes and when it is acknowledged, and nothing once it has stopped", async () => {
    const { url } = await testProvider();
    const home = testHome();
    const alice = await startRegistered(url, "alice", { home, args: ["--agent", "alice"] });
    const bob = await startRegistered(url, "bob", { home, args: ["--agent", "bob"] });
    const listener = await connect(home, url);
    await listener.ask();
    const send = async (message: string) => sentId(await alice.call("amp_send", { to: "bob", subject: "S", message }));
    const id = await send("1");
    await vi.waitFor(() => expect(listener.updates).toEqual([INBOX]), 5_000);
    await bob.call("amp_ack", { message_ids: [id] });
    await vi.waitFor(() => expect(listener.updates).toEqual([INBOX, INBOX]), 5_000);
    // Mail that another program puts on disk, without any provider.
    put(
      home.at(".agent-messaging", "agents", "bob", "messages", "inbox", "carol", "msg_1_x.json"),
      messageFile("msg_1_x"),
    );
    await vi.waitFor(() => expect(listener.updates).toEqual([INBOX, INBOX, INBOX]), 5_000);
    await listener.stop();
    const second = await connect(home, url);
    await second.ask();
    await send("2");
    await vi.waitFor(() => expect(second.updates).not.toEqual([]), 5_000);
    expect(listener.updates).toHaveLength(3);
  });
});

it("nothing but the inbox can be subscribed to", async () => {
  const { url } = await testProvider();
  const home = testHome();
  const { client, close } = await connectOldClient(options(home, url));
  onTestFinished(close);
  for (const uri of ["amp://nosuch", "amp://identity"])
    await expect(client.subscribeResource({ uri })).rejects.toThrow("Only amp://inbox");
});

it("every server of an agent tells its own host, and that tells no model: the line on a result still comes", async () => {
  const { url } = await testProvider();
  const home = testHome();
  const alice = await startRegistered(url, "alice", { home, args: ["--agent", "alice"] });
  const bob = await startRegistered(url, "bob", { home, args: ["--agent", "bob"] });
  const listeners = [await modern(home, url), await old(home, url)];
  for (const listener of listeners) await listener.ask();
  await alice.call("amp_send", { to: "bob", subject: "S", message: "M" });
  for (const { updates } of listeners) await vi.waitFor(() => expect(updates).toEqual([INBOX]), 5_000);
  expect((await bob.call("amp_status")).text).toContain("mail: 1 new");
});
