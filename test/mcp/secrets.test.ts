import { readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { put, tree } from "../support/agent.ts";
import { startRegistered, testHome, testProvider } from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { startFakeProvider } from "../support/fake-provider.ts";
import { startHost } from "../support/host.ts";

const CALLS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["amp_status", {}],
  ["amp_register", { name: "bot" }],
  ["amp_send", { to: "eve", subject: "S", message: "M", idempotency_key: "k" }],
  ["amp_send", { to: "eve", subject: "S", message: "M" }],
  ["amp_reply", { message_id: "msg_1_kept", message: "M" }],
  ["amp_inbox", {}],
  ["amp_inbox", { cursor: "x" }],
  ["amp_read", { message_ids: ["msg_1_none"] }],
  ["amp_ack", { message_ids: ["msg_1_kept"] }],
  ["amp_ack", { all: true }],
];
const RESOURCES = ["amp://inbox", "amp://identity", "amp://messages/msg_1_none"];
const COMMANDS = [
  ["status"],
  ["register", "-n", "bot"],
  ["send", "eve", "S", "M"],
  ["inbox"],
  ["inbox", "read", "msg_1_none"],
  ["inbox", "ack-all"],
  ["keys", "list"],
  ["keys", "show", "eve@local.aimaestro.local"],
  ["keys", "trust", "eve@local.aimaestro.local", "SHA256:x"],
  ["doctor"],
];

/** Every call of every door, and all that came of it: stdout, stderr, results, errors. */
async function everything(env: Record<string, string>): Promise<string> {
  const host = startHost({ env });
  onTestFinished(() => host.close());
  await host.request("initialize", {
    protocolVersion: "2025-06-18",
    capabilities: {},
    clientInfo: { name: "t", version: "1" },
  });
  host.notify("notifications/initialized");
  for (const [name, args] of CALLS) await host.request("tools/call", { name, arguments: args });
  for (const uri of RESOURCES) await host.request("resources/read", { uri });
  await host.request("tools/call", { name: "amp_none", arguments: {} });
  host.closeStdin();
  await host.exited;
  const told = [JSON.stringify(host.messages), host.stderr()];
  const runs = COMMANDS.flatMap((args) => [args, [...args, "--json"]]).map((args) => run(args, { env }));
  for (const { stdout, stderr } of await Promise.all(runs)) told.push(stdout, stderr);
  return told.join("\n");
}

it("no secret is in any answer, log or file, whatever a provider echoes and wherever a key was put", {
  timeout: 60_000,
}, async () => {
  const { url } = await testProvider();
  const home = testHome();
  const first = await startRegistered(url, "bot", { home });
  await first.close();
  const own = home.at(".agent-messaging", "agents", "bot");
  const pem = readFileSync(path.join(own, "keys", "private.pem"), "utf8");
  const apiKey = readFileSync(path.join(own, "api_key"), "utf8").trim();
  const body = pem.split("\n")[1] ?? "";
  const secrets = [apiKey, body, Buffer.from(body, "base64").subarray(16).toString("hex")];
  let round = 0;
  const fake = await startFakeProvider(({ headers, body: sent, path: asked }) => {
    round += 1;
    const echo = `${headers.authorization ?? ""} ${apiKey} ${sent} ${pem} Authorization: Bearer ${apiKey}`;
    const said = { error: echo, message: echo, field: echo, note: echo, status: echo, provider: echo, version: echo };
    const details = { suggestions: [echo], expected_tenant: round % 3 === 0 ? echo : undefined };
    const shapes: [number, unknown][] = [
      [500, { ...said, details }],
      [401, said],
      [400, { ...said, details }],
      [404, echo],
      [200, { ...said, id: echo, address: echo, api_key: apiKey, messages: echo }],
      [200, `{"broken": "${apiKey}`],
      [403, { error: "invalid_signature", message: echo }],
      [302, echo],
      [200, { ...said, id: echo, status: "queued", method: echo, messages: [], count: 0, remaining: 0 }],
    ];
    const [status, answer] = shapes[(round + asked.length) % shapes.length] ?? [500, echo];
    return { act: "answer", status, body: answer, headers: { location: `/${encodeURIComponent(apiKey)}` } };
  });
  onTestFinished(() => fake.close());
  const env = { ...home.env, AMP_PROVIDER_URL: fake.url, AMP_LOG: "debug", AMP_AGENT: "bot" };
  const before = new Set(tree(home.path));
  const told = [await everything(env), await everything(env)];
  const ledger = path.join(own, "known_keys.json");
  const config = path.join(own, "config.json");
  const good = readFileSync(config, "utf8");
  put(ledger, `${apiKey} ${pem}`);
  put(path.join(own, "messages", "inbox", "x", "msg_9_bad.json"), `${apiKey}${pem}`);
  put(path.join(own, "outbox.json"), pem);
  told.push(await everything(env));
  for (const wrong of [
    `${pem}${apiKey}`,
    JSON.stringify({
      ...JSON.parse(good),
      provider: { name: "x", endpoint: `http://u:${apiKey}@127.0.0.1:1/${apiKey}` },
    }),
  ]) {
    writeFileSync(config, wrong);
    told.push(await everything(env));
  }
  writeFileSync(config, good);
  writeFileSync(path.join(own, "keys", "private.pem"), pem.slice(0, -40));
  told.push(await everything(env));
  for (const secret of secrets)
    for (const [i, text] of told.entries()) {
      const at = text.indexOf(secret);
      expect(at < 0 ? "" : text.slice(Math.max(0, at - 300), at), `round ${i}`).toBe("");
    }
  const written = tree(home.path).filter((file) => !before.has(file) && statSync(home.at(file)).isFile());
  const allowed = /(?:^|\/)(?:keys|registrations)\/|\/api_key$|known_keys\.json$|outbox\.json$|msg_9_bad\.json$/;
  for (const file of written.filter((one) => !allowed.test(one.replaceAll("\\", "/"))))
    for (const secret of secrets) expect(readFileSync(home.at(file), "utf8"), file).not.toContain(secret);
});
