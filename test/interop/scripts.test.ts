import { spawnSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { isObject } from "../../src/wire/json.ts";
import { put, readJson } from "../support/agent.ts";
import { startAssistant, startRegistered, testProvider } from "../support/assistant.ts";
import { type Ended, run } from "../support/command.ts";
import { expectReadable } from "../support/crash.ts";
import { installGuideScripts } from "../support/guide-scripts.ts";
import type { Home } from "../support/home.ts";
import { installPluginScripts } from "../support/plugin-scripts.ts";
import { message, registerAgent, send } from "../support/provider.ts";
import { jsonFiles } from "../support/queue.ts";

const CAROL = "carol@local.aimaestro.local";
const ids = (kind: string, count: number) => Array.from({ length: count }, (_, i) => `msg_${1000 + i}_${kind}`);
const done = (ended: Ended) => expect([ended.code, ended.stderr]).toEqual([0, ""]);

async function waitingIds(home: Home): Promise<unknown[]> {
  const { stdout } = await run(["inbox", "-l", "9999", "--json"], { env: home.env });
  const { messages, offline }: Record<string, unknown> = JSON.parse(stdout);
  expect(offline).toBeNull();
  return Array.isArray(messages) ? messages.map(({ id }) => id).sort() : [];
}

function agentId(home: Home): string {
  const index = readJson(home.at(".agent-messaging", "agents", ".index.json"));
  return String(index.bob);
}

/** A lock whose holder was killed. */
function abandonedLock(file: string): void {
  const { pid } = spawnSync(process.execPath, ["-e", "0"]);
  put(file, JSON.stringify({ pid, host: hostname(), token: "x" }));
}

it("the plugin's and the guide's scripts, AI Maestro's writer, servers and command lines share one agent at once", async () => {
  const { url } = await testProvider();
  const first = await startRegistered(url, "bob");
  const { home } = first;
  const directory = home.at(".agent-messaging", "agents", "bob");
  const plugin = installPluginScripts(home);
  const guide = installGuideScripts(home);
  const eve = await registerAgent(url, "eve");
  const id = agentId(home);
  const [direct, delivered] = [ids("plugin", 24), ids("maestro", 24)];
  const [acknowledged, readByScript, byBoth] = [delivered.slice(0, 6), delivered.slice(6, 12), delivered.slice(12, 18)];
  done(await plugin("deliver", id, CAROL, ...delivered));
  abandonedLock(path.join(directory, ".mail.lock"));
  abandonedLock(home.at(".agent-messaging", ".index.lock"));
  const doomed = await startAssistant(url, { home });
  const second = await startAssistant(url, { home });

  const relayed: string[] = [];
  const sendOverProvider = async () => {
    for (let i = 0; i < 24; i++) relayed.push((await send(url, eve, message("bob", `relayed ${i}`))).body.id);
  };
  const listing = async () => {
    for (let i = 0; i < 12; i++) expect((await second.call("amp_inbox", { limit: 50 })).isError).toBe(false);
  };
  const amp = async (...args: string[]) => done(await run(args, { env: home.env }));
  await Promise.all([
    sendOverProvider(),
    listing(),
    plugin("send", "bob", CAROL, ...direct).then(done),
    plugin("read", "bob", ...readByScript, ...byBoth).then(done),
    plugin("fetch", "bob").then(done),
    plugin("inbox", "bob").then(done),
    plugin("init", "other-1", "other-2", "other-3").then(done),
    first.call("amp_ack", { message_ids: acknowledged }).then(({ isError }) => expect(isError).toBe(false)),
    amp("inbox", "ack", ...byBoth),
    amp("register", "-n", "dora", "-p", url),
    guide("inbox", "-a", "bob", "list").then(done),
    doomed.call("amp_inbox").then(
      () => undefined,
      () => undefined,
    ),
    doomed.kill(),
  ]);
  done(await plugin("fetch", "bob"));

  const expected = [...relayed, ...direct, ...delivered.slice(18)].sort();
  expect(await waitingIds(home)).toEqual(expected);
  const unread = (await plugin("inbox", "bob")).stdout.trim().split("\n").sort();
  expect(unread).toEqual(expect.arrayContaining([...direct, ...delivered.slice(18)].sort()));
  for (const one of [...acknowledged, ...readByScript, ...byBoth]) {
    expect(unread).not.toContain(one);
    const file = path.join(directory, "messages", "inbox", "carol_local_aimaestro_local", `${one}.json`);
    expect(readJson(file), one).toMatchObject({
      payload: { message: `Text of ${one}` },
      metadata: { status: "read" },
      local: { status: "read" },
    });
  }
  const files = jsonFiles(path.join(directory, "messages", "inbox"));
  expect(new Set(files.map((file) => path.basename(file))).size).toBe(files.length);
  expectReadable(home.at(".agent-messaging"));
  const index = readJson(home.at(".agent-messaging", "agents", ".index.json"));
  expect(Object.keys(index).sort()).toEqual(["bob", "dora", "other-1", "other-2", "other-3"]);
});

it("a config.json that the plugin wrote anew keeps its agent, and gets the guide's fields back", async () => {
  const { url } = await testProvider();
  const { home, close } = await startRegistered(url, "bob");
  // A server that runs would give the fields back before they are looked at.
  await close();
  const plugin = installPluginScripts(home);
  const guide = installGuideScripts(home);
  const config = home.at(".agent-messaging", "agents", "bob", "config.json");
  for (const name of ["Bob", "somebody-else"]) {
    done(await plugin("identity", "bob", name));
    expect(readFileSync(config, "utf8")).not.toContain('"endpoint"');
    const status = await run(["status", "-a", "bob", "--json"], { env: home.env });
    expect(JSON.parse(status.stdout)).toMatchObject({
      agent: "bob@local.aimaestro.local",
      name: "bob",
      reachable: true,
    });
    expect(readJson(config)).toMatchObject({
      agent_name: "bob",
      agent_id: agentId(home),
      address: "bob@local.aimaestro.local",
      provider: { endpoint: `${url}/api/v1` },
      agent: { name: "bob", id: agentId(home) },
    });
    done(await guide("send", "-a", "bob", "bob", "S", "M"));
  }
});

it("AI Maestro forgetting the agent takes the link of its id, not the keys or the mail", async () => {
  const { url } = await testProvider();
  const { home } = await startRegistered(url, "bob");
  const plugin = installPluginScripts(home);
  const id = agentId(home);
  done(await plugin("deliver", id, CAROL, "msg_1_a"));
  done(await plugin("forget", id));
  expect(await waitingIds(home)).toEqual(["msg_1_a"]);
  const agents = home.at(".agent-messaging", "agents");
  expect(existsSync(path.join(agents, "bob", "keys", "private.pem"))).toBe(true);
  expect((await run(["doctor"], { env: home.env })).stdout).toContain("AI Maestro would move bob's directory away");
  done(await run(["doctor", "--fix"], { env: home.env }));
  expect(lstatSync(path.join(agents, id)).isSymbolicLink()).toBe(true);
});

it("an index that leads the agent's name to another agent's directory opens no foreign inbox", async () => {
  const { url } = await testProvider();
  const { home } = await startRegistered(url, "bob");
  done(await run(["register", "-n", "eve", "-p", url], { env: home.env }));
  const agents = home.at(".agent-messaging", "agents");
  put(path.join(agents, ".index.json"), { bob: "eve", eve: "eve" });
  done(await installPluginScripts(home)("deliver", "eve", CAROL, "msg_1_private"));
  const direct = await run(["inbox", "-a", "bob@local.aimaestro.local", "--json"], { env: home.env });
  const told: unknown = JSON.parse(direct.stdout);
  expect(isObject(told) && told).toMatchObject({ agent: "bob@local.aimaestro.local", messages: [] });
});
