import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** The built executable. `npm test` builds it first. */
export const EXECUTABLE = fileURLToPath(new URL("../../dist/bin.js", import.meta.url));

export type Message = Record<string, unknown>;
export type Answer = { id: unknown; result: unknown; error?: never } | { id: unknown; error: unknown; result?: never };

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Milliseconds from the last `closeStdin` or `signal` to the end of the process; from the start if there was none. */
  elapsedMs: number;
}

/** A host with nothing between it and the wire, for what a well-behaved client would hide. */
export interface Host {
  readonly pid: number;
  /** Every message the server wrote, in order. */
  readonly messages: readonly Message[];
  /** All of stderr so far. */
  stderr(): string;
  /** Sends one message as it is. */
  send(message: Message): void;
  /** Sends a request under a fresh id (`host-1`, `host-2` …) and waits for its answer, which may be an error. */
  request(method: string, params?: Message): Promise<Answer>;
  notify(method: string, params?: Message): void;
  /** The first message, past or future, that fits. Rejects when the server ends without it. */
  waitFor(fits: (message: Message) => boolean): Promise<Message>;
  /** The answer to the request with this id. */
  answerTo(id: unknown): Promise<Answer>;
  closeStdin(): void;
  signal(signal: NodeJS.Signals): void;
  /** Rejects if the server ever wrote a line to stdout that is not JSON-RPC. */
  readonly exited: Promise<Exit>;
  /** Kills what still runs. For `afterEach`; tests of a clean end use `closeStdin` or `signal`. */
  close(): Promise<void>;
}

export interface HostOptions {
  args?: readonly string[];
  /** The whole environment of the server; that of a scratch home. */
  env: Record<string, string>;
  cwd?: string;
  /** Another program than the built executable. */
  program?: string;
}

interface Waiter {
  fits: (message: Message) => boolean;
  resolve: (message: Message) => void;
  reject: (reason: Error) => void;
}

export function startHost(options: HostOptions): Host {
  const child = spawn(process.execPath, [options.program ?? EXECUTABLE, ...(options.args ?? [])], {
    env: options.env,
    cwd: options.cwd,
    stdio: ["pipe", "pipe", "pipe"],
  });
  const messages: Message[] = [];
  const waiters = new Set<Waiter>();
  let stderr = "";
  let failure: Error | undefined;
  let lastStop = performance.now();
  let requests = 0;

  function fail(reason: Error) {
    failure ??= reason;
    for (const waiter of waiters) waiter.reject(failure);
    waiters.clear();
  }

  createInterface({ input: child.stdout }).on("line", (line) => {
    const message = parseMessage(line);
    if (message === undefined) {
      fail(new Error(`stdout carries a line that is not JSON-RPC: ${JSON.stringify(line.slice(0, 500))}`));
      return;
    }
    messages.push(message);
    for (const waiter of waiters) {
      if (!waiter.fits(message)) continue;
      waiters.delete(waiter);
      waiter.resolve(message);
    }
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  // A server that has ended no longer reads; the write fails, and `exited` is what tells.
  child.stdin.on("error", () => undefined);

  const exited = new Promise<Exit>((resolve, reject) => {
    let elapsedMs = 0;
    child.once("error", reject);
    child.once("exit", () => {
      elapsedMs = performance.now() - lastStop;
    });
    child.once("close", (code, signal) => {
      const broken = failure;
      fail(new Error(`the server ended (code ${code}, signal ${signal}) and wrote to stderr: ${stderr}`));
      if (broken === undefined) resolve({ code, signal, elapsedMs });
      else reject(broken);
    });
  });

  function send(message: Message) {
    child.stdin.write(`${JSON.stringify(message)}\n`);
  }

  function waitFor(fits: Waiter["fits"]): Promise<Message> {
    const past = messages.find(fits);
    if (past !== undefined) return Promise.resolve(past);
    if (failure !== undefined) return Promise.reject(failure);
    return new Promise((resolve, reject) => waiters.add({ fits, resolve, reject }));
  }

  async function answerTo(id: unknown): Promise<Answer> {
    const { result, error } = await waitFor((message) => message.id === id && !("method" in message));
    return error === undefined ? { id, result } : { id, error };
  }

  return {
    pid: child.pid ?? -1,
    messages,
    stderr: () => stderr,
    send,
    waitFor,
    answerTo,
    request(method, params) {
      requests += 1;
      const id = `host-${requests}`;
      send({ jsonrpc: "2.0", id, method, ...(params && { params }) });
      return answerTo(id);
    },
    notify: (method, params) => send({ jsonrpc: "2.0", method, ...(params && { params }) }),
    closeStdin() {
      lastStop = performance.now();
      child.stdin.end();
    },
    signal(signal) {
      lastStop = performance.now();
      child.kill(signal);
    },
    exited,
    async close() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

function parseMessage(line: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    const message: Message = { ...value };
    const isMessage = message.jsonrpc === "2.0" && ("method" in message || "result" in message || "error" in message);
    return isMessage ? message : undefined;
  } catch {
    return undefined;
  }
}
