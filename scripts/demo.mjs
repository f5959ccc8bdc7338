/**
 * Two assistants on one machine talk to each other, step by step: a provider, and for each assistant an MCP host that
 * starts `amp-mcp` over stdio, as Claude Desktop would. Everything happens in a scratch directory. Ends with 0 only
 * if each step gave what it shows.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

const executable = path.resolve(import.meta.dirname, "../dist/bin.js");
const scratch = await mkdtemp(path.join(tmpdir(), "amp-mcp-demo-"));
const open = [];

try {
  const provider = await startProvider();
  say(`A provider runs at ${provider}. A real one would be AI Maestro; this one is built in.`);
  const alice = await startAssistant("alice", provider);
  const bob = await startAssistant("bob", provider);
  say("Two hosts have started one MCP server each, for the assistants alice and bob.");

  step("Nobody is registered yet, and the server says what to do.");
  expect(await alice.call("amp_status", {}), /call amp_register/);

  step("Both register: keys are made here, the provider gives an address.");
  expect(await alice.call("amp_register", { name: "alice" }), /alice@local\.aimaestro\.local/);
  expect(await bob.call("amp_register", { name: "bob" }), /bob@local\.aimaestro\.local/);

  step("Alice asks.");
  const question = {
    to: "bob",
    subject: "Port of the test server?",
    message: "Which port does the test server use?",
    priority: "high",
  };
  const asked = expect(await alice.call("amp_send", question), /^queued: (\S+) to bob@local/m);

  step("Bob looks at his inbox: an index, without texts.");
  const listed = await bob.call("amp_inbox", {});
  expect(listed, new RegExp(asked[1]));
  assert.ok(!listed.includes("Which port does"), "the index holds no text");

  step("Bob reads. What the sender wrote stands inside a fence, with what is known of its origin before it.");
  expect(
    await bob.call("amp_read", { message_ids: [asked[1]] }),
    /signature: new-key[\s\S]*Which port does the test server use\?/,
  );

  step("Bob replies; recipient, subject and thread are filled in.");
  const answer = { message_id: asked[1], message: "Port 4173, see vite.config.ts." };
  const replied = expect(await bob.call("amp_reply", answer), /^queued: (\S+) to alice@local/m);

  step("Bob acknowledges: only now the question leaves his inbox.");
  expect(await bob.call("amp_ack", { message_ids: [asked[1]] }), /acknowledged 1 message/);
  expect(await bob.call("amp_inbox", {}), /0 messages wait/);

  step("Alice sees the answer.");
  expect(await alice.call("amp_inbox", {}), new RegExp(`${replied[1]}.*Re: Port of the test server`));
  expect(
    await alice.call("amp_read", { message_ids: [replied[1]] }),
    new RegExp(`in reply to ${asked[1]}[\\s\\S]*Port 4173`),
  );
  expect(await alice.call("amp_ack", { message_ids: [replied[1]] }), /acknowledged 1 message/);

  say("\nDone: every step gave what it shows.");
} finally {
  for (const close of open.reverse()) await close();
  await rm(scratch, { recursive: true, force: true });
}

async function startProvider() {
  const data = path.join(scratch, "provider");
  const child = spawn(process.execPath, [executable, "provider", "--port", "0", "--data", data], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  open.push(async () => {
    const ended = once(child, "exit");
    child.kill();
    await ended;
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/\S+/.exec(line);
    if (url) return url[0];
  }
  throw new Error("the provider ended before it said where it listens");
}

async function startAssistant(name, provider) {
  const directory = path.join(scratch, "agent-messaging");
  const client = new Client({ name: `host-of-${name}`, version: "1.0.0" });
  const args = [executable, "--agent", name, "--directory", directory, "--provider", provider];
  await client.connect(new StdioClientTransport({ command: process.execPath, args }));
  open.push(() => client.close());
  return {
    async call(tool, parameters) {
      say(`\n${name} calls ${tool} ${JSON.stringify(parameters)}`);
      const result = await client.callTool({ name: tool, arguments: parameters });
      const text = result.content.map((part) => part.text).join("\n");
      say(text.replace(/^/gm, "    "));
      assert.ok(!result.isError, `${tool} failed`);
      return text;
    },
  };
}

function expect(text, pattern) {
  const found = pattern.exec(text);
  assert.ok(found, `expected ${pattern} in what the tool said`);
  return found;
}

function step(text) {
  step.count = (step.count ?? 0) + 1;
  say(`\n${step.count}. ${text}`);
}

function say(text) {
  console.log(text);
}
