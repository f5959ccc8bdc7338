import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { messageFile, put, readJson, registeredAgent, tree } from "../support/agent.ts";
import { testHome, testProvider } from "../support/assistant.ts";
import { run } from "../support/command.ts";
import type { Home } from "../support/home.ts";

interface Problem {
  path: string;
  problem: string;
  advice: string;
  state: string;
}

interface Patient {
  home: Home;
  url: string;
  /** A path in the directory of bob. */
  at: (...parts: string[]) => string;
  agents: string;
}

async function patient(): Promise<Patient> {
  const { url } = await testProvider();
  const home = testHome();
  await registeredAgent("bob", { root: home.at(".agent-messaging"), provider: url });
  const agents = home.at(".agent-messaging", "agents");
  return { home, url, agents, at: (...parts) => path.join(agents, "bob", ...parts) };
}

async function doctor(home: Home, ...args: string[]): Promise<{ code: number | null; problems: Problem[] }> {
  const { code, stdout, stderr } = await run(["doctor", "--json", ...args], { env: home.env });
  expect(stderr).toBe("");
  return { code, problems: JSON.parse(stdout).problems };
}

/** Everything below a directory with its content, to see that nothing changed. */
function contents(root: string): Record<string, string> {
  const files = tree(root).filter((file) => statSync(path.join(root, file), { throwIfNoEntry: false })?.isFile());
  return Object.fromEntries(files.map((file) => [file, readFileSync(path.join(root, file), "utf8")]));
}

const OLD = new Date(Date.now() - 3_600_000);

const FINDINGS: Record<string, { make: (of: Patient) => void; problem: RegExp; isRepaired?: (of: Patient) => void }> = {
  "a secret that others can read": {
    make: ({ at }) => {
      chmodSync(at("api_key"), 0o644);
      chmodSync(at("keys"), 0o755);
    },
    problem: /readable by you alone \(0[67]00\), found 0[67][45][45]/,
    isRepaired: ({ at }) => {
      expect([statSync(at("api_key")).mode & 0o777, statSync(at("keys")).mode & 0o777]).toEqual([0o600, 0o700]);
    },
  },
  "a public key that is not that of the private one": {
    make: ({ at }) => put(at("keys", "public.pem"), "another"),
    problem: /is not the public half/,
    isRepaired: ({ at }) => expect(readFileSync(at("keys", "public.pem"), "utf8")).toContain("BEGIN PUBLIC KEY"),
  },
  "a config.json that lost fields": {
    make: ({ at }) => put(at("config.json"), { version: "1.1", agent: { name: "bob" }, mine: 1 }),
    problem: /has lost agent_name, agent_id, address, provider\.endpoint/,
    isRepaired: ({ at, url }) =>
      expect(readJson(at("config.json"))).toMatchObject({ mine: 1, provider: { endpoint: `${url}/api/v1` } }),
  },
  "an api_key file that is gone": {
    make: ({ at }) => rmSync(at("api_key")),
    problem: /is missing; the guide's scripts need it/,
    isRepaired: ({ at }) => expect(statSync(at("api_key")).mode & 0o777).toBe(0o600),
  },
  "an index that does not list the agent": {
    make: ({ agents }) => put(path.join(agents, ".index.json"), { other: "x" }),
    problem: /does not list bob/,
    isRepaired: ({ agents }) =>
      expect(readJson(agents, ".index.json")).toMatchObject({ other: "x", bob: expect.any(String) }),
  },
  "an agent id that leads nowhere": {
    make: ({ agents }) => rmSync(path.join(agents, String(readJson(agents, ".index.json").bob))),
    problem: /would move bob's directory away/,
    isRepaired: ({ agents }) =>
      expect(existsSync(path.join(agents, String(readJson(agents, ".index.json").bob)))).toBe(true),
  },
  "what a crash left": {
    make: ({ at }) => {
      for (const file of [at("keys", ".1.0123456789ab.tmp"), at("messages", "inbox", "x", ".1.0123456789ab.tmp")]) {
        put(file, "half");
        utimesSync(file, OLD, OLD);
      }
    },
    problem: /ended while writing/,
    isRepaired: ({ at }) => expect(existsSync(at("messages", "inbox", "x", ".1.0123456789ab.tmp"))).toBe(false),
  },
  "a private key that is no key": {
    make: ({ at }) => put(at("keys", "private.pem"), "?"),
    problem: /holds no readable/,
  },
  "a private key that is gone": { make: ({ at }) => rmSync(at("keys", "private.pem")), problem: /found none/ },
  "a registration of another key": {
    make: ({ at }) => put(at("registrations", "old.json"), { fingerprint: "SHA256:other" }, 0o600),
    problem: /was made with another key/,
  },
  "a registration that is incomplete": {
    make: ({ at }) => {
      rmSync(at("api_key"));
      rmSync(at("registrations"), { recursive: true });
    },
    problem: /incomplete: no API key/,
  },
  "a stray directory": {
    make: ({ agents }) => mkdirSync(path.join(agents, "stray", "messages", "inbox"), { recursive: true }),
    problem: /holds no agent/,
  },
  "a stray directory with mail": {
    make: ({ agents }) => put(path.join(agents, "stray", "messages", "inbox", "x", "m.json"), messageFile("m")),
    problem: /holds mail but no agent/,
  },
  "a link to nowhere": {
    make: ({ agents }) => symlinkSync("nowhere", path.join(agents, "dangling")),
    problem: /link to nowhere/,
  },
  "two directories of one agent": {
    make: ({ agents, at }) => {
      const copy = path.join(agents, "copy");
      for (const file of ["config.json", "api_key"]) put(path.join(copy, file), readFileSync(at(file), "utf8"), 0o600);
      put(path.join(copy, "keys", "private.pem"), readFileSync(at("keys", "private.pem"), "utf8"), 0o600);
      put(path.join(copy, "keys", "public.pem"), readFileSync(at("keys", "public.pem"), "utf8"));
      chmodSync(path.join(copy, "keys"), 0o700);
    },
    problem: /is claimed by .*copy too|is claimed by .*bob too/,
  },
  "an index that is damaged": {
    make: ({ agents }) => put(path.join(agents, ".index.json"), "{"),
    problem: /is damaged/,
  },
  "a ledger of keys that is damaged": {
    make: ({ at }) => put(at("known_keys.json"), "{"),
    problem: /no sender's key can be compared/,
  },
  "mail that no tool can read": {
    make: ({ at }) => put(at("messages", "inbox", "x", "msg_1_a.json"), '{"envelope":'),
    problem: /no readable message/,
  },
  "mail that lies too deep": {
    make: ({ at }) => put(at("messages", "inbox", "x", "y", "msg_1_a.json"), messageFile("msg_1_a")),
    problem: /deeper than any tool looks/,
  },
};

describe("amp-mcp doctor", () => {
  it("finds nothing in what amp_register wrote, and says so with status 0", async () => {
    const { home } = await patient();
    expect(await doctor(home)).toEqual({ code: 0, problems: [] });
    const { stdout } = await run(["doctor"], { env: home.env });
    expect(stdout).toContain("nothing is wrong.");
  });

  it.each(Object.keys(FINDINGS).filter((name) => FINDINGS[name]?.isRepaired))(
    "says %s, and --fix repairs it once",
    async (name) => {
      const of = await patient();
      const { make, problem, isRepaired } = FINDINGS[name] ?? { make: () => undefined, problem: /never/ };
      make(of);
      const root = of.home.at(".agent-messaging");
      const before = contents(root);
      const found = await doctor(of.home);
      expect(found.code).toBe(1);
      expect(found.problems).toContainEqual(
        expect.objectContaining({ problem: expect.stringMatching(problem), state: "repairable" }),
      );
      expect(contents(root)).toEqual(before);
      const fixed = await doctor(of.home, "--fix");
      expect([fixed.code, new Set(fixed.problems.map(({ state }) => state))]).toEqual([0, new Set(["repaired"])]);
      isRepaired?.(of);
      expect(contents(root)[path.join("agents", "bob", "keys", "private.pem")]).toBe(
        before[path.join("agents", "bob", "keys", "private.pem")],
      );
      expect(await doctor(of.home, "--fix")).toEqual({ code: 0, problems: [] });
    },
  );

  it("leaves to a person what only a person may decide: status 1, nothing changed, with advice", async () => {
    const manual = Object.entries(FINDINGS).filter(([, { isRepaired }]) => isRepaired === undefined);
    for (const [name, { make, problem }] of manual) {
      const of = await patient();
      make(of);
      const root = of.home.at(".agent-messaging");
      const before = contents(root);
      const { code, problems } = await doctor(of.home, "--fix");
      expect([name, code]).toEqual([name, 1]);
      const found = problems.find((one) => problem.test(one.problem));
      expect([name, found]).toEqual([name, expect.objectContaining({ state: "manual" })]);
      expect(found?.advice.length).toBeGreaterThan(20);
      expect([name, contents(root)]).toEqual([name, before]);
    }
  });
});
