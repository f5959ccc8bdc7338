import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { build } from "esbuild";

/** What a driver is told: the operation at which it dies, and what to do until then. */
export interface Drive {
  root: string;
  provider: string;
  name: string;
  act: "register" | "receive" | "acknowledge";
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

/** Calls `step` with 1, 2, 3 … two at a time, until one has finished. Gives the number of steps that were killed. */
export async function untilFinished(step: (dieAt: number) => Promise<"killed" | "finished">): Promise<number> {
  let killed = 0;
  for (let next = 1; ; next += 2) {
    const results = await Promise.all([step(next), step(next + 1)]);
    killed += results.filter((result) => result === "killed").length;
    if (results.includes("finished")) return killed;
  }
}
