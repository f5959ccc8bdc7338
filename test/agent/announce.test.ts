import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { Announcer, type News, newsLine } from "../../src/agent/announce.ts";
import { Disk } from "../../src/store/disk.ts";
import { Home } from "../../src/store/home.ts";
import { readProfile } from "../../src/store/profile.ts";
import { CLOCK_SLACK } from "../../src/wire/limits.ts";
import { messageFile, put, readJson } from "../support/agent.ts";
import { bobAt, ID, item, startQueue } from "../support/queue.ts";

/** Bob's mail on disk alone; each `announcer` is one process. */
async function mailbox() {
  const { root, inbox, bob } = bobAt("http://127.0.0.1:9");
  const home = new Home(root, new Disk());
  const profile = await readProfile(home.disk, path.join(root, "agents", "bob"));
  const ledger = path.join(profile.directory, "announced.json");
  const file = (id: string, from = "carol") => path.join(inbox, from, `${id}.json`);
  return {
    ledger,
    profile,
    root,
    bob,
    file,
    mail: (id: string, envelope: Record<string, unknown> = {}) => put(file(id), messageFile(id, {}, envelope)),
    announcer: () => new Announcer(home, profile, Date.now),
    oneLook: () => Announcer.forOneLook(home, profile, Date.now),
  };
}

const idsOf = (news: News | undefined) => news?.messages.map(({ id }) => id).sort() ?? [];

/** Claims and tells at once, as a process does to which nothing happens. */
async function told(announcer: Announcer): Promise<string[]> {
  const news = await announcer.claim();
  await news?.told();
  return idsOf(news);
}

describe("a message", () => {
  it("is told about once, whichever of the processes comes first", async () => {
    const { mail, announcer, oneLook } = await mailbox();
    const [one, two] = [announcer(), announcer()];
    mail("msg_1");
    mail("msg_2", { priority: "urgent" });
    const news = await one.claim();
    expect(idsOf(news)).toEqual(["msg_1", "msg_2"]);
    expect(news && newsLine(news)).toBe("2 new, 1 urgent: amp_inbox");
    expect(await two.claim()).toBeUndefined();
    expect(await (await oneLook()).claim()).toBeUndefined();
    await news?.told();
    mail("msg_3");
    expect(await told(two)).toEqual(["msg_3"]);
    expect([await told(one), await told(await oneLook()), await told(announcer())]).toEqual([[], [], []]);
  });

  it("is told about by one of many that ask at the same moment", async () => {
    const { mail, announcer } = await mailbox();
    const ids = Array.from({ length: 50 }, (_, i) => `msg_${i}`);
    for (const id of ids) mail(id);
    const all = await Promise.all(Array.from({ length: 8 }, () => told(announcer())));
    // Who finds the ledger taken for too long leaves it to the others, never tells twice.
    expect([...all.flat(), ...(await told(announcer()))].sort()).toEqual([...ids].sort());
  });

  it("is left to others when it could not be told about", async () => {
    const { mail, announcer, oneLook } = await mailbox();
    mail("msg_1");
    await (await announcer().claim())?.withdraw();
    expect(await told(await oneLook())).toEqual(["msg_1"]);
  });

  it("is told about again when the process that claimed it has ended before it did", async () => {
    const { mail, announcer, oneLook, ledger } = await mailbox();
    mail("msg_1");
    await announcer().claim();
    const { pid } = spawnSync(process.execPath, ["-e", "0"]);
    writeFileSync(ledger, readFileSync(ledger, "utf8").replaceAll(`"pid":${process.pid}`, `"pid":${pid}`));
    expect(idsOf(await (await oneLook()).claim())).toEqual(["msg_1"]);
  });

  it("is told about again when the process that claimed it has hung for long, but not before", async () => {
    const { mail, announcer, ledger } = await mailbox();
    mail("msg_1");
    await announcer().claim();
    expect(await announcer().claim()).toBeUndefined();
    const [at] = /"at":(\d+)/.exec(readFileSync(ledger, "utf8"))?.slice(1) ?? [];
    writeFileSync(ledger, readFileSync(ledger, "utf8").replace(`"at":${at}`, `"at":${Number(at) - 11_000}`));
    expect(await told(announcer())).toEqual(["msg_1"]);
  });

  it("is not told about when it was read, acknowledged or removed after it was seen", async () => {
    const { mail, announcer, file } = await mailbox();
    const one = announcer();
    for (const id of ["msg_1", "msg_2", "msg_3"]) mail(id);
    await one.look();
    // In place, as AI Maestro does it: the directory does not change.
    writeFileSync(file("msg_1"), JSON.stringify(messageFile("msg_1", { local: { status: "read" } })));
    rmSync(file("msg_2"));
    expect(await told(one)).toEqual(["msg_3"]);
  });

  it("is not told about when any copy of it was read", async () => {
    const { mail, announcer, file } = await mailbox();
    mail("msg_1");
    put(file("msg_1", "zelda"), messageFile("msg_1", { local: { status: "read" } }));
    expect(await told(announcer())).toEqual([]);
  });

  it("is not told about when another tool took it off the queue meanwhile", async () => {
    const queue = await startQueue(item("msg_1"), item("msg_2"));
    const { bob, inbox } = bobAt(queue.url);
    await bob.fetch();
    const old = new Date(Date.now() - 60_000);
    for (const id of ["msg_1", "msg_2"])
      utimesSync(path.join(inbox, "alice_testorg_aimaestro_local", `${id}.json`), old, old);
    queue.items.shift();
    const news = await bob.news();
    expect(idsOf(news)).toEqual(["msg_2"]);
    await news?.told();
    // Asked about once: it costs a request.
    const asked = queue.requests.length;
    expect([await bob.news(), queue.requests.length, queue.acknowledged]).toEqual([undefined, asked, []]);
  });

  it("that came from another provider's queue, or whose queue does not answer, is told about", async () => {
    const queue = await startQueue(item("msg_1"));
    const { bob } = bobAt(queue.url);
    await bob.fetch();
    await queue.close();
    expect(idsOf(await bob.news())).toEqual(["msg_1"]);
  });

  it("that the assistant has listed is not told about", async () => {
    const { mail, announcer, bob } = await mailbox();
    mail("msg_1");
    await bob.noteTold(["msg_1"]);
    mail("msg_2");
    expect(await told(announcer())).toEqual(["msg_2"]);
  });
});

describe("the ledger", () => {
  it.each([
    ["is gone", (file: string) => rmSync(file)],
    ["is cut off", (file: string) => writeFileSync(file, readFileSync(file, "utf8").slice(0, 30))],
    ["is empty", (file: string) => writeFileSync(file, "")],
    [
      "holds something else",
      (file: string) => writeFileSync(file, '{"told":{"msg_1":1},"telling":[3],"looked_at":"x"}'),
    ],
  ])("that %s counts as empty: better told twice than never", async (_what, damage) => {
    const { mail, announcer, oneLook, ledger } = await mailbox();
    mail("msg_1");
    expect(await told(announcer())).toEqual(["msg_1"]);
    damage(ledger);
    expect(await told(await oneLook())).toEqual(["msg_1"]);
    expect(await told(announcer())).toEqual([]);
  });

  it("that is a directory hides nothing, and one process does not repeat itself because of it", async () => {
    const { mail, announcer, ledger } = await mailbox();
    mail("msg_1");
    put(path.join(ledger, "in the way"), "");
    const one = announcer();
    const news = await one.claim();
    expect([idsOf(news), news?.isRecorded]).toEqual([["msg_1"], false]);
    await news?.told();
    expect(await one.claim()).toBeUndefined();
    expect(idsOf(await announcer().claim())).toEqual(["msg_1"]);
  });

  it("that cannot be read at this moment is not written over", async () => {
    const { mail, profile, root, ledger, announcer } = await mailbox();
    mail("msg_1");
    await told(announcer());
    const before = readFileSync(ledger, "utf8");
    class Busy extends Disk {
      override read(file: string, maxBytes: number): Promise<string | undefined> {
        return file === ledger ? Promise.reject(new Error("EMFILE")) : super.read(file, maxBytes);
      }
    }
    const news = await new Announcer(new Home(root, new Busy()), profile, Date.now).claim();
    expect([idsOf(news), news?.isRecorded, await news?.told()]).toEqual([["msg_1"], false, false]);
    expect(readFileSync(ledger, "utf8")).toBe(before);
  });

  it("gets later what it could not take, and no process repeats itself meanwhile", async () => {
    const { mail, announcer, ledger } = await mailbox();
    mail("msg_1");
    put(path.join(ledger, "in the way"), "");
    const one = announcer();
    await (await one.claim())?.told();
    expect(await one.claim()).toBeUndefined();
    rmSync(ledger, { recursive: true });
    expect(await one.claim()).toBeUndefined();
    expect(await announcer().claim()).toBeUndefined();
  });

  it("keeps a claim that another process has made meanwhile, whoever withdraws", async () => {
    const { mail, announcer, ledger } = await mailbox();
    mail("msg_1");
    const news = await announcer().claim();
    writeFileSync(ledger, readFileSync(ledger, "utf8").replace(`"pid":${process.pid}`, '"pid":1'));
    await news?.withdraw();
    expect(await announcer().claim()).toBeUndefined();
  });

  it("forgets what no longer waits, but not what another process has just looked at", async () => {
    const { mail, announcer, file, ledger } = await mailbox();
    for (const id of ["msg_1", "msg_2"]) mail(id);
    await told(announcer());
    for (const id of ["msg_1", "msg_2"]) rmSync(file(id));
    const long = `["msg_1",${Date.now() - 11 * 60_000}]`;
    writeFileSync(ledger, readFileSync(ledger, "utf8").replace(/\["msg_1",\d+\]/, long));
    mail("msg_3");
    await told(announcer());
    const { told: kept } = readJson(ledger);
    expect(JSON.stringify(kept)).not.toContain("msg_1");
    expect(JSON.stringify(kept)).toContain("msg_2");
  });

  it("takes ids that are words of the language", async () => {
    const { mail, announcer } = await mailbox();
    for (const id of ["__proto__", "constructor", "toString"]) mail(id);
    expect(await told(announcer())).toEqual(["__proto__", "constructor", "toString"]);
    expect(await told(announcer())).toEqual([]);
  });

  it("changes no message, and nothing else of the agent", async () => {
    const { mail, announcer, file, profile } = await mailbox();
    mail("msg_1");
    const before = readFileSync(file("msg_1"), "utf8");
    await told(announcer());
    expect(readFileSync(file("msg_1"), "utf8")).toBe(before);
    expect(existsSync(path.join(profile.directory, ".announced.lock"))).toBe(false);
  });
});

describe("a process that looks once", () => {
  it("does not hide what another one withdrew while it looked", async () => {
    const { mail, announcer, oneLook } = await mailbox();
    mail("msg_1");
    const held = await announcer().claim();
    const looking = await oneLook();
    await held?.withdraw();
    mail("msg_2");
    const told1 = await told(looking);
    expect([...told1, ...(await told(await oneLook()))].sort()).toEqual(["msg_1", "msg_2"]);
  });

  it("looks at everything after a clock was wrong, and in an inbox that it did not know", async () => {
    const { mail, announcer, oneLook, ledger, profile } = await mailbox();
    mail("msg_1");
    await told(announcer());
    const ahead = Date.now() + 3_600_000;
    writeFileSync(ledger, JSON.stringify({ ...readJson(ledger), looked_at: ahead }));
    mail("msg_2");
    expect(await told(await oneLook())).toEqual(["msg_2"]);
    expect(readJson(ledger).looked_at).toBeLessThan(ahead - 60_000);
    writeFileSync(ledger, JSON.stringify({ ...readJson(ledger), looked_at: Date.now() + CLOCK_SLACK - 1 }));
    const agents = path.dirname(profile.directory);
    put(path.join(agents, ID, "messages", "inbox", "dave", "msg_3.json"), messageFile("msg_3"));
    expect(await told(await oneLook())).toEqual(["msg_3"]);
  });

  it("forgets nothing that it passed over", async () => {
    const { mail, oneLook, announcer, ledger, file } = await mailbox();
    mail("msg_1");
    await told(announcer());
    const { ctimeMs } = statSync(file("msg_1"));
    do put(file("msg_2", "dave"), messageFile("msg_2"));
    while (statSync(file("msg_2", "dave")).ctimeMs <= ctimeMs + 1);
    // Told about an hour ago, and the last look lies between both messages.
    const now = { told: [["msg_1", Date.now() - 60 * 60_000]], looked_at: ctimeMs + 1 + CLOCK_SLACK };
    writeFileSync(ledger, JSON.stringify({ ...readJson(ledger), ...now }));
    expect([await told(await oneLook()), await told(announcer())]).toEqual([["msg_2"], []]);
  });

  it("sees what was moved or restored with an old date", async () => {
    const { mail, oneLook, announcer, file, profile } = await mailbox();
    mail("msg_1");
    await told(announcer());
    const aside = put(path.join(profile.directory, "aside.json"), messageFile("msg_2"));
    utimesSync(aside, new Date(0), new Date(0));
    renameSync(aside, file("msg_2"));
    expect(await told(await oneLook())).toEqual(["msg_2"]);
  });

  it("sees what was half-written when other mail was told about, and what was moved in with its directory", async () => {
    const { mail, oneLook, file, profile } = await mailbox();
    const whole = JSON.stringify(messageFile("msg_1"));
    put(file("msg_1", "dave"), whole.slice(0, 100));
    const long = new Date(Date.now() - 3_600_000);
    utimesSync(file("msg_1", "dave"), long, long);
    mail("msg_2");
    expect(await told(await oneLook())).toEqual(["msg_2"]);
    writeFileSync(file("msg_1", "dave"), whole);
    expect(await told(await oneLook())).toEqual(["msg_1"]);
    const aside = path.join(profile.directory, "aside");
    put(path.join(aside, "msg_3.json"), messageFile("msg_3"));
    utimesSync(path.join(aside, "msg_3.json"), long, long);
    renameSync(aside, path.dirname(file("msg_3", "erin")));
    expect(await told(await oneLook())).toEqual(["msg_3"]);
  });

  it("sees what was half-written at the last look", async () => {
    const { mail, oneLook, announcer, file } = await mailbox();
    const one = announcer();
    const whole = JSON.stringify(messageFile("msg_1"));
    put(file("msg_1"), whole.slice(0, 100));
    mail("msg_2");
    expect(await told(one)).toEqual(["msg_2"]);
    writeFileSync(file("msg_1"), whole);
    expect(await told(await oneLook())).toEqual(["msg_1"]);
  });
});

it("a long-lived process misses no file of many that come in the same moment", async () => {
  const { mail, announcer } = await mailbox();
  const one = announcer();
  const seen = new Set<string>();
  for (let i = 0; i < 300; i++) {
    mail(`msg_${i}`);
    for (const id of (await one.look()).unread.keys()) seen.add(id);
  }
  expect(seen.size).toBe(300);
});
