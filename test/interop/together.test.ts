import path from "node:path";
import { expect, it } from "vitest";
import { readJson } from "../support/agent.ts";
import { type Assistant, sentId, startAssistant, startRegistered, testProvider } from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { expectReadable } from "../support/crash.ts";
import { jsonFiles } from "../support/queue.ts";

const ROUNDS = 2;

it("ten servers and command lines on one agent read, send, acknowledge and register at once", async () => {
  const { url } = await testProvider();
  const first = await startRegistered(url, "bob");
  const { home } = first;
  const inbox = home.at(".agent-messaging", "agents", "bob", "messages");
  const servers = [first, ...(await Promise.all([1, 2, 3, 4].map(() => startAssistant(url, { home }))))];
  const sent: string[] = [];

  const call = async (server: Assistant, tool: string, args: Record<string, unknown> = {}) => {
    const told = await server.call(tool, args);
    expect([tool, told.isError, told.text]).toEqual([tool, false, told.text]);
    return told;
  };
  const server = async (one: Assistant, i: number) => {
    await call(one, "amp_register", { name: "bob" });
    for (let round = 0; round < ROUNDS; round++) {
      const id = sentId(await call(one, "amp_send", { to: "bob", subject: `server ${i} ${round}`, message: "M" }));
      sent.push(id);
      await call(one, "amp_inbox");
      expect((await call(one, "amp_read", { message_ids: [id] })).text).toContain(`server ${i} ${round}`);
      if (round > 0) await call(one, "amp_ack", { message_ids: [id] });
    }
  };
  const amp = async (...args: string[]): Promise<Record<string, unknown>> => {
    const ended = await run([...args, "--json"], { env: home.env });
    expect([args, ended.code, ended.stderr, ended.stdout]).toEqual([args, 0, "", ended.stdout]);
    return JSON.parse(ended.stdout);
  };
  const shell = async (i: number) => {
    await amp("register", "-n", "bob", "-p", url);
    for (let round = 0; round < ROUNDS; round++) {
      const id = String((await amp("send", "bob", `shell ${i} ${round}`, "M")).message_id);
      sent.push(id);
      if (round === 0) await amp("inbox");
      else expect(await amp("inbox", "ack", id)).toMatchObject({ not_acknowledged: [] });
    }
  };
  await Promise.all([...servers.map(server), ...[1, 2, 3, 4, 5].map(shell)]);

  expect(new Set(sent).size).toBe(10 * ROUNDS);
  const received = jsonFiles(path.join(inbox, "inbox"));
  const names = (files: readonly string[]) => files.map((file) => path.basename(file, ".json")).sort();
  expect(names(received)).toEqual([...sent].sort());
  expect(names(jsonFiles(path.join(inbox, "sent")))).toEqual([...sent].sort());
  const left = await amp("inbox", "-l", "99");
  const read = received.filter(
    (file) => Reflect.get(Object(readJson(inbox, "inbox", file).local), "status") === "read",
  );
  expect([left.pending, read.length]).toEqual([10 * (ROUNDS - 1), 10]);
  expect(await amp("inbox", "ack-all")).toMatchObject({ not_acknowledged: [] });
  expect(await amp("inbox")).toMatchObject({ pending: 0 });
  expectReadable(home.at(".agent-messaging"));
  expect(await amp("doctor")).toMatchObject({ problems: [] });
});
