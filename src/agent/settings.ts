import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { REPLY_LIMIT } from "../wire/limits.ts";

/** A configured value and where it came from, so that an answer can say what to change. */
export interface Setting {
  value: string;
  from: string;
}

export interface Settings {
  /** The config directory. */
  root: Setting;
  /** Name, id or address of the agent to act as; `undefined` where nothing was said. */
  agent: Setting | undefined;
  /** `AMP_DIR`: the agent's own directory, as the plugin's scripts take it. */
  agentDirectory: Setting | undefined;
  /** Provider URL. Without a word from the user the agent's own registration decides, then the default. */
  provider: Setting | undefined;
  /** For an agent that is registered nowhere yet. */
  defaultProvider: Setting;
  /** Receive through AI Maestro's dashboard, too: without keys, and without signatures. */
  dashboard: boolean;
  /** Host names to which plain http is allowed although they are not near. */
  allowHttp: string[];
  /** Before which messages of an assistant a person is asked: those that leave the tenant, all, none. */
  confirmSend: "external" | "always" | "never";
  /** How often two agents may answer each other with mere courtesies; 0 for no limit. */
  replyLimit: number;
}

const DEFAULT_PROVIDER = "http://localhost:23000";

export interface Flags {
  agent?: string | undefined;
  directory?: string | undefined;
  provider?: string | undefined;
  dashboard?: boolean | undefined;
}

/** The ecosystem's own variables that name an agent, strongest first (ids before names, as its scripts do). */
const AGENT_VARIABLES = [
  "CLAUDE_AGENT_ID",
  "AMP_AGENT_ID",
  "AIM_AGENT_ID",
  "AIMAESTRO_AGENT_ID",
  "CLAUDE_AGENT_NAME",
  "AIM_AGENT_NAME",
] as const;

/** Flags before variables before defaults. An empty variable counts as not set; hosts pass such on. */
export function readSettings(flags: Flags, env: NodeJS.ProcessEnv): Settings {
  const flag = (name: "agent" | "directory" | "provider"): Setting[] => {
    const value = flags[name];
    return value ? [{ value, from: `--${name}` }] : [];
  };
  const variable = (name: string): Setting[] => (env[name]?.trim() ? [{ value: env[name].trim(), from: name }] : []);
  const root = [...flag("directory"), ...variable("AMP_CONFIG_DIR")][0];
  const directory = variable("AMP_DIR")[0];
  return {
    root: root
      ? { value: expanded(root.value), from: root.from }
      : { value: join(homedir(), ".agent-messaging"), from: "default" },
    agent: [...flag("agent"), ...variable("AMP_AGENT"), ...(directory ? [] : AGENT_VARIABLES.flatMap(variable))][0],
    agentDirectory:
      directory && isAbsolute(expanded(directory.value))
        ? { ...directory, value: expanded(directory.value) }
        : undefined,
    provider: [...flag("provider"), ...variable("AMP_PROVIDER_URL")][0],
    defaultProvider: variable("AMP_MAESTRO_URL")[0] ?? { value: DEFAULT_PROVIDER, from: "default" },
    dashboard: flags.dashboard ?? ["1", "true"].includes(env.AMP_DASHBOARD ?? ""),
    allowHttp: (env.AMP_ALLOW_HTTP ?? "")
      .split(",")
      .map((host) => host.trim())
      .filter((host) => host !== ""),
    confirmSend: confirmSend(env.AMP_CONFIRM_SEND),
    replyLimit: /^\d{1,4}$/.test(env.AMP_REPLY_LIMIT ?? "") ? Number(env.AMP_REPLY_LIMIT) : REPLY_LIMIT,
  };
}

/** A word that is none of the three is no consent: then every message is asked about. */
function confirmSend(given: string | undefined): Settings["confirmSend"] {
  if (given === undefined || given === "" || given === "external") return "external";
  return given === "never" ? "never" : "always";
}

/** `~` is a shell's word; hosts hand it on as it is. */
function expanded(path: string): string {
  if (path === "~") return homedir();
  return path.startsWith("~/") || path.startsWith("~\\") ? join(homedir(), path.slice(2)) : resolve(path);
}
