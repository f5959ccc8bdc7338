import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Agent } from "../../src/agent/agent.ts";
import { inboxPage } from "../../src/agent/inbox.ts";
import { readSettings } from "../../src/agent/settings.ts";
import { startProvider } from "../../src/provider/server.ts";

const RUNS = 21;
const SENDERS = 20;

/** Fills an inbox; the first `unread` of its messages wait. Gives the files. */
function fill(inbox: string, count: number, unread: number): string[] {
  return Array.from({ length: count }, (_, i) => {
    const folder = path.join(inbox, `carol${i % SENDERS}_local_aimaestro_local`);
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, `msg_${10_000_000 + i}_bench.json`);
    const status = i < unread ? "unread" : "read";
    const envelope = {
      version: "amp/0.1",
      id: `msg_${10_000_000 + i}_bench`,
      from: `carol${i % SENDERS}@local.aimaestro.local`,
      to: "bob@local.aimaestro.local",
      subject: `Message number ${i}`,
      priority: i % 50 === 0 ? "urgent" : "normal",
      timestamp: new Date(1_700_000_000_000 + i * 1000).toISOString(),
      signature: Buffer.alloc(64, String(i)).toString("base64"),
      in_reply_to: null,
    };
    const payload = { context: null, message: "x".repeat(500), type: "request" };
    const local = { received_at: envelope.timestamp, status };
    writeFileSync(file, JSON.stringify({ envelope, payload, metadata: { status }, local }, null, 2));
    return file;
  });
}

function median(times: number[]): number {
  return times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN;
}

/** The yardstick: one look at each of the files, by the fastest call that there is. */
function statAll(files: readonly string[]): number {
  const start = performance.now();
  for (const file of files) statSync(file);
  return performance.now() - start;
}

async function measure(name: string, count: number, unread: number): Promise<void> {
  const scratch = mkdtempSync(path.join(tmpdir(), "amp-bench-"));
  const provider = await startProvider({ dataDirectory: path.join(scratch, "provider"), ratePerMinute: 0 });
  const settings = readSettings({ directory: path.join(scratch, "home"), provider: provider.url, agent: "bob" }, {});
  const agent = new Agent({ settings });
  try {
    const { profile } = await agent.register({ name: "bob" });
    const files = fill(path.join(profile.directory, "messages", "inbox"), count, unread);
    await inboxPage(agent, {});
    const pages: number[] = [];
    const looks: number[] = [];
    for (let i = 0; i < RUNS; i++) {
      const start = performance.now();
      await inboxPage(agent, {});
      pages.push(performance.now() - start);
      looks.push(statAll(files));
    }
    const [page, look] = [median(pages), median(looks)];
    process.stdout.write(
      `${name}: ${page.toFixed(1)} ms, ${(page / look).toFixed(2)} x the stat of its files (${look.toFixed(1)} ms)\n`,
    );
  } finally {
    await agent.close();
    await provider.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

await measure("first page of 1,000 unread, warm", 1000, 1000);
await measure("first page of a store of 10,000, 100 unread, warm", 10_000, 100);
await measure("first page of 10,000 unread, warm", 10_000, 10_000);
