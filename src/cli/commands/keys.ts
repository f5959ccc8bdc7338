import type { Agent } from "../../agent/agent.ts";
import type { KnownKey } from "../../agent/key-ledger.ts";
import { AmpError } from "../../errors.ts";
import { count } from "../../wire/human.ts";
import { oneLine, oneWord } from "../../wire/untrusted.ts";
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
  return {
    lines: [
      known.length === 0 ? "No sender's key is known yet." : count(known.length, "known sender"),
      ...known.map(([address, entry]) => `${oneWord(address, 254)}\n  ${entry ? factsOf(entry) : DAMAGED}`),
    ],
    json: {
      keys: known.map(([address, entry]) => ({
        address,
        fingerprint: entry?.fingerprint ?? null,
        first_seen: entry?.firstSeen ?? null,
        source: entry?.source ?? null,
      })),
    },
  };
}

const DAMAGED = "damaged entry; decide with amp-mcp keys trust or forget";

function factsOf({ fingerprint, firstSeen, source }: KnownKey): string {
  return `${oneLine(fingerprint, 80)}, since ${oneLine(firstSeen, 40)} (${oneLine(source, 20)})`;
}

async function show(agent: Agent, address: string): Promise<Answer> {
  const { known, seen } = await (await agent.keys()).show(address);
  const facts = known === undefined ? "no key" : known === "damaged" ? DAMAGED : factsOf(known);
  return {
    lines: [
      `known: ${facts}`,
      ...seen.flatMap(({ fingerprint, pluginFingerprint, where }) => [
        `seen:  ${fingerprint} (${oneLine(where, 200)})`,
        `       ${pluginFingerprint} in the form of AI Maestro's plugin`,
      ]),
    ],
    json: {
      address,
      known: known === undefined || known === "damaged" ? null : known.fingerprint,
      is_damaged: known === "damaged",
      seen: seen.map(({ fingerprint, pluginFingerprint, where }) => ({
        fingerprint,
        plugin_fingerprint: pluginFingerprint,
        where,
      })),
    },
  };
}

async function trust(agent: Agent, address: string, key: string): Promise<Answer> {
  const entry = await (await agent.keys()).trust(address, key);
  return {
    lines: [`${oneWord(address, 254)} is known by ${entry.fingerprint} from now on.`],
    json: { address, fingerprint: entry.fingerprint },
  };
}

async function forget(agent: Agent, address: string): Promise<Answer> {
  const wasKnown = await (await agent.keys()).forget(address);
  return {
    lines: [
      wasKnown
        ? `${oneWord(address, 254)} is forgotten; its next message is a first contact.`
        : `${oneWord(address, 254)} was not known.`,
    ],
    json: { address, forgotten: wasKnown },
  };
}
