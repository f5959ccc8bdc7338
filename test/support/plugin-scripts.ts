import { writeFileSync } from "node:fs";
import type { Ended } from "./command.ts";
import { run } from "./command.ts";
import type { Home } from "./home.ts";

/**
 * The plugin's scripts and AI Maestro's disk writer, made anew for tests: what they read and write in the directory, and
 * how. None takes a lock. Messages and `config.json` are written in place, truncated first and then filled; the index
 * goes through one fixed temporary name that all of them share.
 */
const PROGRAM = `
import * as fs from "node:fs";
import path from "node:path";
const [script, ...args] = process.argv.slice(2);
const agents = path.join(process.env.HOME, ".agent-messaging", "agents");
const read = (file) => JSON.parse(fs.readFileSync(file, "utf8"));
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** What a shell's \`echo "$x" > file\` does: the file is empty first, and may be half full for a moment. */
async function echoTo(file, value) {
  const text = JSON.stringify(value, null, 2) + "\\n";
  const open = fs.openSync(file, "w", 0o644);
  await turn();
  fs.writeSync(open, text.slice(0, text.length >> 1));
  await turn();
  fs.writeSync(open, text.slice(text.length >> 1));
  fs.closeSync(open);
}

function directoryOf(name) {
  const index = fs.existsSync(path.join(agents, ".index.json")) ? read(path.join(agents, ".index.json")) : {};
  const found = path.join(agents, index[name] ?? name);
  if (!fs.existsSync(path.join(found, "config.json"))) throw new Error(name + ": not initialized");
  return found;
}

const sanitized = (address) => address.replace(/[@.]/g, "_").replace(/[^a-zA-Z0-9_-]/g, "");

/** Whose name it expects; where config.json says another, even in case, it is written anew in the script's own form. */
async function loadConfig(directory, expected) {
  const file = path.join(directory, "config.json");
  const { agent } = read(file);
  if (!agent?.name) throw new Error("Config file missing 'agent' object");
  if (expected === undefined || agent.name === expected) return agent;
  const [, domain = ""] = (agent.address ?? "").split("@");
  const fixed = {
    name: expected, tenant: agent.tenant, address: expected + "@" + domain,
    fingerprint: agent.fingerprint, createdAt: agent.createdAt,
  };
  const provider = { domain: "aimaestro.local", maestro_url: "http://localhost:23000" };
  await echoTo(file, { version: "1.1", agent: fixed, provider });
  return fixed;
}

function inboxFiles(inbox) {
  return fs.readdirSync(inbox, { recursive: true }).filter((file) => /(^|\\/)[^.][^/]*\\.json$/.test(file)).sort()
    .map((file) => path.join(inbox, file));
}

/** jq fails at a file that is being written; the scripts then go on with what is left. */
function tryRead(file) {
  try { return read(file); } catch { return undefined; }
}

const message = (id, from, to) => ({
  envelope: {
    version: "amp/0.1", id, from, to, subject: "Subject of " + id, priority: "normal",
    timestamp: "2026-03-01T10:00:00Z", signature: null, in_reply_to: null, thread_id: id,
  },
  payload: { type: "request", message: "Text of " + id, context: null },
});

const scripts = {
  /** amp-send to an agent of this machine: no request, a file in the recipient's inbox. */
  async send(to, from, ...ids) {
    const inbox = path.join(directoryOf(to), "messages", "inbox", sanitized(from));
    for (const id of ids) {
      const { envelope, payload } = message(id, from, to);
      fs.mkdirSync(inbox, { recursive: true });
      await echoTo(path.join(inbox, id + ".json"), {
        envelope,
        payload: { ...payload, attachments: [] },
        metadata: { status: "unread", queued_at: envelope.timestamp, delivery_attempts: 1 },
        local: {
          received_at: envelope.timestamp, status: "unread", delivery_method: "local",
          security: { trust: "verified", source: "agent" },
        },
      });
    }
  },
  /** amp-fetch: what waits at the provider, into the inbox and off the queue. */
  async fetch(name) {
    const directory = directoryOf(name);
    const registrations = path.join(directory, "registrations");
    const { fetchUrl, apiKey } = read(path.join(registrations, fs.readdirSync(registrations)[0]));
    const headers = { Authorization: "Bearer " + apiKey };
    const { messages = [] } = await (await fetch(fetchUrl, { headers })).json();
    for (const { envelope, payload } of messages) {
      const inbox = path.join(directory, "messages", "inbox", sanitized(envelope.from));
      fs.mkdirSync(inbox, { recursive: true });
      await echoTo(path.join(inbox, envelope.id + ".json"), {
        envelope, payload,
        metadata: { status: "unread", queued_at: envelope.timestamp, delivery_attempts: 1 },
        local: { received_at: new Date().toISOString(), status: "unread", delivery_method: "fetch", fetched_from: "x" },
      });
      await fetch(fetchUrl + "?id=" + encodeURIComponent(envelope.id), { method: "DELETE", headers });
    }
  },
  /** amp-inbox: ids of what is unread, local.status first. */
  async inbox(name) {
    for (const file of inboxFiles(path.join(directoryOf(name), "messages", "inbox"))) {
      const found = tryRead(file);
      if (found && (found.local?.status ?? found.metadata?.status ?? "unread") === "unread") console.log(found.envelope.id);
    }
  },
  /** amp-read: mark_as_read writes the whole file again, in place. */
  async read(name, ...ids) {
    const files = inboxFiles(path.join(directoryOf(name), "messages", "inbox"));
    for (const id of ids) {
      const file = files.find((one) => path.basename(one) === id + ".json");
      const found = file && tryRead(file);
      if (!found) throw new Error("Message not found: " + id);
      const read_at = new Date().toISOString();
      await echoTo(file, {
        ...found,
        metadata: { ...found.metadata, status: "read" },
        local: { ...found.local, status: "read", read_at },
      });
    }
  },
  /** amp-identity, with a CLAUDE_AGENT_NAME. */
  async identity(name, expected) {
    await loadConfig(directoryOf(name), expected);
  },
  /** amp-init: a directory for a new agent, and its name in the index. */
  async init(...names) {
    for (const name of names) {
      const id = crypto.randomUUID();
      for (const part of ["keys", "messages/inbox", "messages/sent", "registrations"])
        fs.mkdirSync(path.join(agents, id, part), { recursive: true });
      await echoTo(path.join(agents, id, "config.json"), { version: "1.1", agent: { name, id }, provider: {} });
      const index = path.join(agents, ".index.json");
      const merged = { ...(fs.existsSync(index) ? read(index) : {}), [name]: id };
      fs.writeFileSync(index + ".tmp", JSON.stringify(merged, null, 2));
      fs.renameSync(index + ".tmp", index);
    }
  },
  /** AI Maestro's own delivery, by agent id. */
  async deliver(id, from, ...ids) {
    const inbox = path.join(agents, id, "messages", "inbox", sanitized(from));
    for (const one of ids) {
      fs.mkdirSync(inbox, { recursive: true });
      await echoTo(path.join(inbox, one + ".json"), {
        ...message(one, from, "bob"),
        metadata: { status: "unread", queued_at: new Date().toISOString(), delivery_attempts: 1 },
        local: { received_at: new Date().toISOString(), status: "unread", delivery_method: "local" },
      });
    }
  },
  /** AI Maestro forgets an agent: \`rm -r\` of what has the agent's id for its name. */
  async forget(id) {
    fs.rmSync(path.join(agents, id), { recursive: true, force: true });
  },
};
await scripts[script](...args);
`;

export type PluginScript = "send" | "fetch" | "inbox" | "read" | "identity" | "init" | "deliver" | "forget";

/** Puts the program into `home`, and gives the way to run its scripts there, a process each. */
export function installPluginScripts(home: Home): (script: PluginScript, ...args: string[]) => Promise<Ended> {
  writeFileSync(home.at("plugin.mjs"), PROGRAM);
  return (script, ...args) =>
    run([script, ...args], { env: home.env, program: [process.execPath, home.at("plugin.mjs")] });
}
