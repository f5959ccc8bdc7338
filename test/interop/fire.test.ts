import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, it, onTestFinished } from "vitest";
import * as z from "zod";
import { startProvider } from "../../src/provider/server.ts";
import { readJson } from "../support/agent.ts";
import { testHome } from "../support/assistant.ts";
import { run } from "../support/command.ts";
import { type Host, type Message, startHost } from "../support/host.ts";
import { call } from "../support/provider.ts";

const SENDERS = 4;
const MESSAGES_EACH = 250;
/** Servers of the one agent that run at the same time; one is killed in the middle of each burst of each sender. */
const SERVERS = 2;
const BURST = 25;

const noticeSchema = z.object({
  method: z.literal("notifications/claude/channel"),
  params: z.object({ content: z.string() }),
});

function idsIn(message: Message): string[] {
  const notice = noticeSchema.safeParse(message);
  return notice.success ? [...notice.data.params.content.matchAll(/^msg_\d+_\w+/gm)].map(([id]) => id) : [];
}

/** A server that tells of each message by a channel, up and told to begin. */
async function server(env: Record<string, string>): Promise<{ host: Host; pid: number }> {
  const host = startHost({ env, args: ["--agent", "bob", "--channel"] });
  onTestFinished(() => host.close().catch(() => undefined));
  const clientInfo = { name: "claude-code", version: "2" };
  await host.request("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  host.notify("notifications/initialized");
  return { host, pid: host.pid };
}

it("1,000 messages from four senders are told of while servers are killed and started: each once, but for those in flight at a kill", async () => {
  const home = testHome();
  const provider = await startProvider({ dataDirectory: home.at("provider"), ratePerMinute: 0 });
  onTestFinished(() => provider.close());
  const env = { ...home.env, AMP_PROVIDER_URL: provider.url };
  const names = Array.from({ length: SENDERS }, (_, i) => `sender${i}`);
  for (const name of ["bob", ...names])
    expect((await run(["register", "-n", name, "-p", provider.url], { env: home.env })).code).toBe(0);
  const directory = home.at(".agent-messaging", "agents", "bob");

  const servers = await Promise.all(Array.from({ length: SERVERS }, () => server(env)));
  const all = [...servers];
  const inFlight = new Set<string>();
  const told = () => all.flatMap(({ host }) => host.messages.flatMap(idsIn));

  const keys = names
    .map((name) => home.at(".agent-messaging", "agents", name, "api_key"))
    .map((file) => readFileSync(file, "utf8").trim());
  const sent: string[] = [];
  const burst = (from: number) =>
    Promise.all(
      keys.map(async (key, sender) => {
        for (let i = from; i < Math.min(from + BURST, MESSAGES_EACH); i++) {
          const body = { to: "bob", subject: `${sender} ${i}`, payload: { type: "request", message: "M" } };
          sent.push((await call(provider.url, "POST", "/api/v1/route", { key, body })).body.id);
        }
      }),
    );

  let kills = 0;
  for (let from = 0; from < MESSAGES_EACH; from += BURST) {
    const before = new Set(told()).size;
    const sending = burst(from);
    while (new Set(told()).size < before + SENDERS) await Promise.race(servers.map(({ host }) => nextNotice(host)));
    const victim = servers[kills % SERVERS];
    if (victim === undefined) throw new Error("no server");
    victim.host.signal("SIGKILL");
    await victim.host.exited;
    const { telling } = readJson(path.join(directory, "announced.json"));
    for (const id of tellingOf(telling, victim.pid)) inFlight.add(id);
    const next = await server(env);
    all.push(next);
    servers[kills % SERVERS] = next;
    kills += 1;
    await sending;
  }
  while (new Set(told()).size < sent.length) await Promise.race(servers.map(({ host }) => nextNotice(host)));

  const times = new Map<string, number>();
  for (const id of told()) times.set(id, (times.get(id) ?? 0) + 1);
  expect(new Set(times.keys())).toEqual(new Set(sent));
  expect(sent).toHaveLength(SENDERS * MESSAGES_EACH);
  const repeated = [...times].filter(([, n]) => n > 1).map(([id]) => id);
  expect(repeated.filter((id) => !inFlight.has(id))).toEqual([]);
  expect(kills).toBe(MESSAGES_EACH / BURST);
  process.stdout.write(`${kills} kills, ${inFlight.size} messages in flight at them, ${repeated.length} told twice\n`);
}, 120_000);

/** The next notice of a host that has not been seen yet, or its end. */
async function nextNotice(host: Host): Promise<void> {
  const seen = host.messages.length;
  await host
    .waitFor((message) => host.messages.indexOf(message) >= seen && idsIn(message).length > 0)
    .catch(() => undefined);
}

function tellingOf(telling: unknown, pid: number): string[] {
  const entries = z.array(z.tuple([z.string(), z.object({ pid: z.number() })])).parse(telling);
  return entries.filter(([, teller]) => teller.pid === pid).map(([id]) => id);
}
