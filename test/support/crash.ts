import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { expect, onTestFinished } from "vitest";
import { startProvider } from "../../src/provider/server.ts";
import { isObject, parseJson } from "../../src/wire/json.ts";
import { tree } from "./agent.ts";
import { scratchDirectory } from "./provider.ts";

/** What a driver is told: the operation at which it dies, and what to do until then. */
export interface Drive {
  root: string;
  provider: string;
  name: string;
  act: "register" | "receive" | "read" | "acknowledge";
  /** The file operation, from 1, at which the process kills itself. */
  dieAt: number;
}

const DRIVER = `
  import { Agent } from "./src/agent/agent.ts";
  import { readSettings } from "./src/agent/settings.ts";
  import { Disk } from "./src/store/disk.ts";
  const { root, provider, name, act, dieAt } = JSON.parse(process.argv[2]);
  let operations = 0;
  const disk = new Disk(() => {
    operations += 1;
    if (operations === dieAt) process.kill(process.pid, "SIGKILL");
  });
  const agent = new Agent({ settings: readSettings({ directory: root, provider, agent: name }, {}), disk });
  if (act === "register") await agent.register({ name });
  else if (act === "receive") await agent.waiting();
  else if (act === "read") await agent.read((await agent.waiting()).messages.map(({ message }) => message.envelope.id));
  else await agent.acknowledge("all");
  await agent.close();
`;

/** The agent as one JavaScript file that stops before any of its file operations. */
export async function bundleDriver(directory: string): Promise<string> {
  const outfile = path.join(directory, "driver.mjs");
  await build({
    stdin: { contents: DRIVER, resolveDir: path.resolve(".") },
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "silent",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
  return outfile;
}

/** Runs a driver to its end: `killed` by itself, or `finished` because there is no such operation any more. */
export async function drive(driver: string, told: Drive): Promise<"killed" | "finished"> {
  const child = spawn(process.execPath, [driver, JSON.stringify(told)], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString("utf8");
  });
  const [code, signal] = await once(child, "close");
  if (signal === "SIGKILL") return "killed";
  if (code === 0) return "finished";
  throw new Error(`the driver ended with ${code ?? signal}: ${stderr}`);
}

/**
 * Calls `step` with 1, 2, 3 …, or every `stride`-th of them, two at a time, until one has finished. Gives the number of
 * steps that were killed.
 */
export async function untilFinished(
  step: (dieAt: number) => Promise<"killed" | "finished">,
  stride = 1,
): Promise<number> {
  let killed = 0;
  for (let next = 1; ; next += 2 * stride) {
    const results = await Promise.all([step(next), step(next + stride)]);
    killed += results.filter((result) => result === "killed").length;
    if (results.includes("finished")) return killed;
  }
}

/** What every other tool finds after a crash: JSON that is whole, and no name that it would take for its own. */
export function expectReadable(root: string): void {
  for (const file of tree(root)) {
    if (!file.endsWith(".json")) continue;
    expect(isObject(parseJson(readFileSync(path.join(root, file), "utf8"))), file).toBe(true);
    if (path.basename(file) !== ".index.json") expect(path.basename(file), file).not.toMatch(/^\.|tmp/);
  }
}

/** The URL of an embedded provider that ends with the test. */
export async function embedded(): Promise<string> {
  const provider = await startProvider({ dataDirectory: scratchDirectory(), ratePerMinute: 0 });
  onTestFinished(() => provider.close());
  return provider.url;
}
