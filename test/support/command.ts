import { spawn } from "node:child_process";
import { once } from "node:events";
import { EXECUTABLE } from "./host.ts";

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  env: Record<string, string>;
  /** Another program than the built executable, with its own first arguments. */
  program?: readonly string[];
  stdin?: string;
  cwd?: string;
}

/** Runs a command of the built executable to its end, without a shell between. */
export async function run(args: readonly string[], options: CommandOptions): Promise<Ended> {
  const [program = "", ...first] = options.program ?? [process.execPath, EXECUTABLE];
  const child = spawn(program, [...first, ...args], { env: options.env, cwd: options.cwd });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.stdin ?? "");
  const [code] = await once(child, "close");
  return { code: typeof code === "number" ? code : null, stdout, stderr };
}
