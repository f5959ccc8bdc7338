import type { Agent } from "../../agent/agent.ts";
import { AmpError } from "../../errors.ts";
import { count } from "../../wire/human.ts";
import { oneLine } from "../../wire/untrusted.ts";
import type { Answer, Output } from "../output.ts";
import { type CommonOptions, runAs } from "../run.ts";

interface Options extends CommonOptions {
  command: string;
  address?: string;
  key?: string;
}

/** Senders' keys, for people. */
export function keysCommand(options: Options, env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  return runAs(options, env, output, (agent) => {
    switch (options.command) {
      case "list":
        return list(agent);
      case "show":
        return show(agent, needed(options.address, "an address"));
      case "trust":
        return trust(
          agent,
          needed(options.address, "an address"),
          needed(options.key, "the fingerprint or the public key"),
        );
      case "forget":
        return forget(agent, needed(options.address, "an address"));
      default:
        throw usage(`expected list, show, trust or forget, found "${oneLine(options.command, 40)}".`);
    }
  });
}

function needed(given: string | undefined, what: string): string {
  if (given !== undefined) return given;
  throw usage(`expected ${what}, found none.`);
}

function usage(message: string): AmpError {
  return new AmpError("invalid_argument", {
    message: `keys: ${message}`,
    notDone: "nothing was changed.",
    next: "See amp-mcp keys --help.",
    mender: "caller",
  });
}

async function list(agent: Agent): Promise<Answer> {
  const known = await (await agent.keys()).list();
  const rows = known.map(
    ([address, entry]) =>
      `${oneLine(address, 254)}\n  ${oneLine(entry.fingerprint, 80)}, since ${oneLine(entry.firstSeen, 40)} (${oneLine(entry.source, 20)})`,
  );
  return {
    lines: [known.length === 0 ? "No sender's key is known yet." : count(known.length, "known sender"), ...rows],
    json: {
      keys: known.map(([address, entry]) => ({
        address,
        fingerprint: entry.fingerprint,
        first_seen: entry.firstSeen,
        source: entry.source,
      })),
    },
  };
}

async function show(agent: Agent, address: string): Promise<Answer> {
  const { known, seen } = await (await agent.keys()).show(address);
  return {
    lines: [
      known
        ? `known: ${oneLine(known.fingerprint, 80)}, since ${oneLine(known.firstSeen, 40)} (${oneLine(known.source, 20)})`
        : "known: no key",
      ...seen.map(({ fingerprint, where }) => `seen:  ${fingerprint} (${oneLine(where, 200)})`),
    ],
    json: { address, known: known?.fingerprint ?? null, seen },
  };
}

async function trust(agent: Agent, address: string, key: string): Promise<Answer> {
  const entry = await (await agent.keys()).trust(address, key);
  return {
    lines: [`${address} is known by ${entry.fingerprint} from now on.`],
    json: { address, fingerprint: entry.fingerprint },
  };
}

async function forget(agent: Agent, address: string): Promise<Answer> {
  const wasKnown = await (await agent.keys()).forget(address);
  return {
    lines: [wasKnown ? `${address} is forgotten; its next message is a first contact.` : `${address} was not known.`],
    json: { address, forgotten: wasKnown },
  };
}
