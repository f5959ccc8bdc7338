import { basename, join } from "node:path";
import { isObject, parseJson, text } from "../wire/json.ts";
import { derFingerprint, fingerprint, parsePublicKey, publicKeyToPem, sameKey } from "../wire/keys.ts";
import { CONFIG_FILE_MAX_BYTES, MESSAGE_FILE_MAX_BYTES } from "../wire/limits.ts";
import { readMessage } from "../wire/message.ts";
import { readKeyPair } from "./agent-keys.ts";
import { PRIVATE_DIRECTORY_MODE, PUBLIC_MODE, SECRET_MODE } from "./disk.ts";
import type { Finding } from "./findings.ts";
import type { Home } from "./home.ts";
import { type Profile, privateKeyFile, publicKeyFile, readObject } from "./profile.ts";
import { restoreConfig } from "./registration.ts";

/** What is wrong with one agent's directory. */
export async function checkAgent(home: Home, profile: Profile): Promise<Finding[]> {
  const checks = await Promise.all([
    modes(home, profile.directory),
    keys(home, profile),
    configuration(home, profile),
    unreadableMail(home, profile.directory),
    ledger(home, profile.directory),
  ]);
  return checks.flat();
}

/** Secrets readable by others. Windows keeps permissions elsewhere. */
async function modes(home: Home, directory: string): Promise<Finding[]> {
  if (process.platform === "win32") return [];
  const registrations = (await home.disk.names(join(directory, "registrations"))).filter((name) =>
    name.endsWith(".json"),
  );
  const wanted: readonly (readonly [string, number])[] = [
    [join(directory, "keys"), PRIVATE_DIRECTORY_MODE],
    [privateKeyFile(directory), SECRET_MODE],
    [join(directory, "api_key"), SECRET_MODE],
    ...registrations.map((name) => [join(directory, "registrations", name), SECRET_MODE] as const),
  ];
  const findings: Finding[] = [];
  for (const [path, mode] of wanted) {
    const about = await home.disk.about(path);
    if (about === undefined || about.kind === "link" || (about.mode & 0o077) === 0) continue;
    findings.push({
      path,
      problem: `expected to be readable by you alone (${octal(mode)}), found ${octal(about.mode)}`,
      repair: () => home.disk.changeMode(path, mode),
    });
  }
  return findings;
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`;
}

async function keys(home: Home, { directory }: Profile): Promise<Finding[]> {
  const path = privateKeyFile(directory);
  const pair = await readKeyPair(home.disk, directory);
  if (pair === undefined) {
    const problem =
      (await home.disk.about(path)) === undefined
        ? "expected a private key, found none"
        : "holds no readable Ed25519 key";
    return [
      {
        path,
        problem,
        advice: "Restore it from a backup; without it nothing can be signed, and no key is made in its place.",
      },
    ];
  }
  const findings: Finding[] = [];
  const publicPem = await home.disk.read(publicKeyFile(directory), CONFIG_FILE_MAX_BYTES);
  const publicKey = publicPem === undefined ? undefined : parsePublicKey(publicPem);
  if (publicKey === undefined || !sameKey(publicKey, pair.publicKey)) {
    const pem = publicKeyToPem(pair.publicKey);
    findings.push({
      path: publicKeyFile(directory),
      problem: "is not the public half of private.pem",
      repair: () => home.disk.write(publicKeyFile(directory), pem, PUBLIC_MODE),
    });
  }
  const own = [fingerprint(pair.publicKey), derFingerprint(pair.publicKey)];
  const folder = join(directory, "registrations");
  for (const name of (await home.disk.names(folder)).filter(
    (file) => file.endsWith(".json") && !file.startsWith("."),
  )) {
    const registered = text(await readObject(home.disk, join(folder, name)), "fingerprint");
    if (registered === undefined || own.includes(registered)) continue;
    findings.push({
      path: join(folder, name),
      problem: `was made with another key (${registered}) than the one in keys/ (${own[0]})`,
      advice: "The provider will refuse what this key signs. Restore the old keys/, or register under a new name.",
    });
  }
  return findings;
}

/** The plugin's scripts rewrite `config.json` in their own, smaller form; the rest is still in `registrations/`. */
async function configuration(home: Home, profile: Profile): Promise<Finding[]> {
  const { directory, apiKey, address, endpoint } = profile;
  if (apiKey === undefined || address === undefined || endpoint === undefined) {
    const missing = Object.entries({ "API key": apiKey, address, endpoint }).flatMap(([name, value]) =>
      value === undefined ? [name] : [],
    );
    return [
      {
        path: directory,
        problem: `the registration is incomplete: no ${missing.join(", no ")}`,
        advice: `Run: amp-mcp register --name ${profile.name}`,
      },
    ];
  }
  const config = await readObject(home.disk, join(directory, "config.json"));
  const lost = ["agent_name", "agent_id", "address"].filter((field) => text(config, field) === undefined);
  if (text(config.provider, "endpoint") === undefined) lost.push("provider.endpoint");
  if (!isObject(config.agent)) lost.push("agent");
  const hasKeyFile = (await home.disk.about(join(directory, "api_key"))) !== undefined;
  const isComplete = lost.length === 0 && hasKeyFile;
  if (isComplete) return [];
  return [
    {
      path: join(directory, hasKeyFile ? "config.json" : "api_key"),
      problem: hasKeyFile ? `has lost ${lost.join(", ")}` : "is missing; the guide's scripts need it",
      repair: () => restoreConfig(home, { ...profile, apiKey, address, endpoint }),
    },
  ];
}

/** Without its ledger of keys an agent recognises nobody. */
async function ledger(home: Home, directory: string): Promise<Finding[]> {
  const path = join(directory, "known_keys.json");
  const content = await home.disk.read(path, CONFIG_FILE_MAX_BYTES);
  if (content === undefined || isObject(parseJson(content))) return [];
  return [
    {
      path,
      problem: "is damaged, so that no sender's key can be compared",
      advice: "Restore it, or move it away: then every sender is a first contact again.",
    },
  ];
}

/** Files in the inbox that no tool can show. */
async function unreadableMail(home: Home, directory: string): Promise<Finding[]> {
  const inbox = join(directory, "messages", "inbox");
  const findings: Finding[] = [];
  const look = async (path: string) => {
    const content = await home.disk.read(path, MESSAGE_FILE_MAX_BYTES);
    if (content !== undefined && readMessage(parseJson(content)) !== undefined) return;
    findings.push({
      path,
      problem: "is no readable message (damaged, half-written or too large)",
      advice: "Look at it; no tool shows it. It was left as it is.",
    });
  };
  for (const name of await home.disk.names(inbox)) {
    if (name.startsWith(".")) continue;
    if (name.endsWith(".json")) await look(join(inbox, name));
    else
      for (const file of await home.disk.names(join(inbox, name))) {
        if (file.endsWith(".json")) await look(join(inbox, name, file));
        else if ((await home.disk.about(join(inbox, name, file)))?.kind === "directory") {
          findings.push({
            path: join(inbox, name, file),
            problem: "lies deeper than any tool looks for mail",
            advice: `Move its files up into ${basename(name)}/.`,
          });
        }
      }
  }
  return findings;
}
