import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import { onTestFinished } from "vitest";

export interface ProviderProcess {
  url: string;
  /** `kill -9`, and the wait for its end. */
  kill(): Promise<void>;
}

/** The provider as one JavaScript file: a child process of Node 20 cannot run TypeScript. */
export async function bundleProvider(directory: string): Promise<string> {
  const outfile = path.join(directory, "provider.mjs");
  await build({
    entryPoints: [path.resolve("src/provider/server.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "silent",
  });
  return outfile;
}

export async function spawnProvider(bundle: string, dataDirectory: string): Promise<ProviderProcess> {
  const script = `
    const { startProvider } = await import(${JSON.stringify(pathToFileURL(bundle).href)});
    const { url } = await startProvider({ dataDirectory: ${JSON.stringify(dataDirectory)}, ratePerMinute: 0 });
    console.log(url);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => kill(child));
  const [url] = await once(createInterface(child.stdout), "line");
  return { url: String(url), kill: () => kill(child) };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}
