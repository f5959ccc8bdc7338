import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, existsSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { build } from "esbuild";
import { beforeEach, describe, expect, it } from "vitest";
import { Disk } from "../../src/store/disk.ts";
import { withLock } from "../../src/store/lock.ts";
import { scratchDirectory } from "../support/provider.ts";

let directory: string;
let lock: string;

beforeEach(() => {
  directory = scratchDirectory();
  lock = path.join(directory, ".some.lock");
});

/** Holders at once, at most; and that nothing but the directory is left. */
async function contend(contenders: number): Promise<number> {
  let inside = 0;
  let most = 0;
  const one = () =>
    withLock(new Disk(), lock, async () => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise(setImmediate);
      inside -= 1;
    });
  await Promise.all(Array.from({ length: contenders }, one));
  return most;
}

/** The id of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["-e", "0"]);
  await once(child, "exit");
  return child.pid ?? 0;
}

describe("a lock", () => {
  it("has one holder at a time, and is gone afterwards", async () => {
    expect(await contend(40)).toBe(1);
    expect(readdirSync(directory)).toEqual([]);
  });

  it("gives back what the work gave, and is gone also when the work failed", async () => {
    expect(await withLock(new Disk(), lock, async () => 7)).toBe(7);
    await expect(withLock(new Disk(), lock, async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(readdirSync(directory)).toEqual([]);
  });

  it("of a dead process is taken over by exactly one of many that wait", async () => {
    for (let round = 0; round < 15; round++) {
      writeFileSync(lock, JSON.stringify({ pid: await deadPid(), host: hostname(), token: `dead-${round}` }));
      expect(await contend(12), `round ${round}`).toBe(1);
      expect(readdirSync(directory)).toEqual([]);
    }
  });

  it.each(["", "{", "null", '{"pid":"x"}'])(
    "that is no lock of ours (%j) is taken over when it is old",
    async (content) => {
      writeFileSync(lock, content);
      utimesSync(lock, new Date(0), new Date(0));
      expect(await contend(5)).toBe(1);
    },
  );

  it("of another machine is left alone while it is young, and taken over when it is old", async () => {
    writeFileSync(lock, JSON.stringify({ pid: await deadPid(), host: "elsewhere", token: "t" }));
    let isDone = false;
    const waiting = withLock(new Disk(), lock, async () => {
      isDone = true;
    });
    for (let i = 0; i < 20; i++) await new Promise(setImmediate);
    expect([isDone, existsSync(lock)]).toEqual([false, true]);
    utimesSync(lock, new Date(0), new Date(0));
    await waiting;
    expect(isDone).toBe(true);
  });

  it("that was taken over meanwhile is not removed by its old holder", async () => {
    await withLock(new Disk(), lock, async () => writeFileSync(lock, "another's"));
    expect(readFileSync(lock, "utf8")).toBe("another's");
  });
});

describe("processes that share a lock", () => {
  const DRIVER = `
    import { appendFileSync } from "node:fs";
    import { Disk } from "./src/store/disk.ts";
    import { withLock } from "./src/store/lock.ts";
    const [lock, log, rounds, holds] = process.argv.slice(2);
    for (let i = 0; i < Number(rounds); i++) {
      await withLock(new Disk(), lock, async () => {
        appendFileSync(log, "in " + process.pid + "\\n");
        if (holds === "holds") await new Promise(() => setInterval(() => {}, 1000));
        await new Promise((resolve) => setTimeout(resolve, 1));
        appendFileSync(log, "out " + process.pid + "\\n");
      });
    }
    process.exit();
  `;

  async function driver(): Promise<string> {
    const outfile = path.join(scratchDirectory(), "lock.mjs");
    const contents = DRIVER;
    await build({
      stdin: { contents, resolveDir: path.resolve(".") },
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      logLevel: "silent",
    });
    return outfile;
  }

  /** Who was inside, in order; fails where somebody came in before the one inside went out. */
  function visits(log: string): string[] {
    const lines = readFileSync(log, "utf8").trim().split("\n");
    const who: string[] = [];
    for (const [i, line] of lines.entries()) {
      const [what = "", pid = ""] = line.split(" ");
      expect(what, lines.join(", ")).toBe(i % 2 === 0 ? "in" : "out");
      if (what === "in") who.push(pid);
      else expect(pid).toBe(who.at(-1));
    }
    return who;
  }

  it("are inside one after the other", async () => {
    const program = await driver();
    const log = path.join(directory, "log");
    const children = [1, 2, 3].map(() => fork(program, [lock, log, "8"]));
    const codes = await Promise.all(children.map((child) => once(child, "exit")));
    expect(codes.map(([code]) => code)).toEqual([0, 0, 0]);
    expect(visits(log)).toHaveLength(24);
    expect(existsSync(lock)).toBe(false);
  });

  it("go on when the one inside is killed", async () => {
    const program = await driver();
    const log = path.join(directory, "log");
    appendFileSync(log, "");
    const holder = fork(program, [lock, log, "1", "holds"]);
    await expect.poll(() => readFileSync(log, "utf8")).toContain("in ");
    const others = [1, 2].map(() => fork(program, [lock, log, "3"]));
    holder.kill("SIGKILL");
    await once(holder, "exit");
    appendFileSync(log, `out ${holder.pid}\n`);
    await expect.poll(() => others.map((child) => child.exitCode), { timeout: 20_000 }).toEqual([0, 0]);
    expect(visits(log)).toHaveLength(7);
    expect(existsSync(lock)).toBe(false);
  });
});
