import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { startProvider } from "../../src/provider/server.ts";
import { run } from "../support/command.ts";
import { createHome, type Home } from "../support/home.ts";
import { type Host, startHost } from "../support/host.ts";
import { startMaestro } from "../support/maestro.ts";

/** From a provider's answer to a sender until the recipient's host hears `notifications/resources/updated`. */
const RUNS = 21;
/** More than the pause between two updates. */
const APART_MS = 400;
const EXECUTABLE = path.resolve("dist/bin.js");

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Bob's server, subscribed; `heard` resolves with the next update. */
async function bobsHost(env: Record<string, string>): Promise<{ host: Host; heard(): Promise<number> }> {
  const host = startHost({ env, args: ["--agent", "bob"], program: EXECUTABLE });
  const clientInfo = { name: "bench", version: "1" };
  await host.request("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  host.notify("notifications/initialized");
  await host.request("resources/subscribe", { uri: "amp://inbox" });
  const updates = () => host.messages.filter(({ method }) => method === "notifications/resources/updated").length;
  return {
    host,
    async heard() {
      const before = updates();
      await host.waitFor(() => updates() > before);
      return performance.now();
    },
  };
}

interface Source {
  name: string;
  url: string;
  /** Puts a message there; resolves at the moment from which on it counts as accepted. */
  deliver(i: number): Promise<number>;
  /** What a round trip to the same place takes at best. */
  yardstick(): Promise<unknown>;
  runs: number;
}

async function measure(source: Source, env: Record<string, string>): Promise<void> {
  const { host, heard } = await bobsHost({ ...env, AMP_PROVIDER_URL: source.url });
  await pause(3 * APART_MS);
  const times: number[] = [];
  const yards: number[] = [];
  for (let i = 0; i < source.runs; i++) {
    yards.push(await timed(() => source.yardstick()));
    const hearing = heard();
    const accepted = await source.deliver(i);
    // It may be heard before the sender has its own answer.
    times.push(Math.max(0, (await hearing) - accepted));
    await pause(APART_MS);
  }
  await host.close();
  const [time, yard] = [median(times), median(yards)];
  const worst = Math.max(...times).toFixed(1);
  process.stdout.write(
    `accepted to notified, ${source.name}: median ${time.toFixed(1)} ms, worst ${worst} ms, ${(time / yard).toFixed(2)} x a bare request (${yard.toFixed(1)} ms)\n`,
  );
}

async function post(url: string, key: string, i: number): Promise<number> {
  const body = JSON.stringify({ to: "bob", subject: `${i}`, payload: { type: "request", message: "M" } });
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const response = await fetch(`${url}/api/v1/route`, { method: "POST", headers, body });
  await response.text();
  return performance.now();
}

const ask = (url: string) => async () => (await fetch(`${url}/api/v1/health`)).text();

async function registered({ env }: Home, url: string, name: string): Promise<string> {
  const { stdout } = await run(["register", "-n", name, "-p", url, "--json"], {
    env,
    program: [process.execPath, EXECUTABLE],
  });
  const { directory } = JSON.parse(stdout);
  return readFileSync(path.join(String(directory), "api_key"), "utf8").trim();
}

async function longPoll(): Promise<void> {
  const home = createHome();
  const provider = await startProvider({ dataDirectory: home.at("provider"), ratePerMinute: 0 });
  const key = await registered(home, provider.url, "alice");
  await registered(home, provider.url, "bob");
  const { url } = provider;
  await measure(
    { name: "long-poll", url, deliver: (i) => post(url, key, i), yardstick: ask(url), runs: RUNS },
    home.env,
  );
  const inbox = home.at(".agent-messaging", "agents", "bob", "messages", "inbox", "carol");
  mkdirSync(inbox, { recursive: true });
  const deliver = async (i: number) => {
    const envelope = { id: `msg_${i}_disk`, from: "carol@local.aimaestro.local", subject: "S" };
    writeFileSync(path.join(inbox, `msg_${i}_disk.json`), JSON.stringify({ envelope, payload: { message: "M" } }));
    return performance.now();
  };
  await measure({ name: "disk", url, deliver, yardstick: ask(url), runs: RUNS }, home.env);
  await provider.close();
  home.remove();
}

async function polling(): Promise<void> {
  const home = createHome();
  const maestro = await startMaestro({ version: "seed", home: home.path });
  const key = await registered(home, maestro.url, "alice");
  await registered(home, maestro.url, "bob");
  const { url } = maestro;
  await measure(
    { name: "asking, right after activity", url, deliver: (i) => post(url, key, i), yardstick: ask(url), runs: 7 },
    home.env,
  );
  await maestro.close();
  home.remove();
}

/** A hook with nothing to tell, beside an empty program. */
async function hook(): Promise<void> {
  const home = createHome();
  const scratch = mkdtempSync(path.join(tmpdir(), "amp-bench-"));
  const empty = path.join(scratch, "empty.mjs");
  writeFileSync(empty, "");
  const provider = await startProvider({ dataDirectory: home.at("provider"), ratePerMinute: 0 });
  await registered(home, provider.url, "bob");
  await run(["send", "bob", "S", "M"], { env: home.env, program: [process.execPath, EXECUTABLE] });
  await run(["inbox"], { env: home.env, program: [process.execPath, EXECUTABLE] });
  const stdin = JSON.stringify({ hook_event_name: "UserPromptSubmit", prompt: "x" });
  const hooks: number[] = [];
  const empties: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    empties.push(await timed(() => run([], { env: home.env, stdin, program: [process.execPath, empty] })));
    hooks.push(
      await timed(() =>
        run(["hook", "--host", "codex"], { env: home.env, stdin, program: [process.execPath, EXECUTABLE] }),
      ),
    );
  }
  const [time, yard] = [median(hooks), median(empties)];
  process.stdout.write(
    `hook with nothing to tell: ${time.toFixed(1)} ms, ${(time / yard).toFixed(2)} x an empty program (${yard.toFixed(1)} ms)\n`,
  );
  await provider.close();
  home.remove();
  rmSync(scratch, { recursive: true, force: true });
}

await longPoll();
await polling();
await hook();
