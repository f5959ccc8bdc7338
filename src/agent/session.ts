import { join } from "node:path";
import { Dashboard } from "../client/dashboard.ts";
import type { Http } from "../client/http.ts";
import { checkedUrl } from "../client/origin.ts";
import { ProviderClient } from "../client/provider.ts";
import { readPublicKey } from "../store/agent-keys.ts";
import type { Home } from "../store/home.ts";
import { KnownKeys } from "../store/known-keys.ts";
import type { MessageStore } from "../store/messages.ts";
import type { RegisteredProfile } from "../store/profile.ts";
import type { UnreadFile } from "../store/unread.ts";
import { FRESH, QUEUE_LOOK } from "../wire/limits.ts";
import { Announcer } from "./announce.ts";
import { KeyLedger } from "./key-ledger.ts";
import { Mailbox } from "./mailbox.ts";
import { Outbox } from "./outbox.ts";
import type { Settings } from "./settings.ts";
import { Trust } from "./trust.ts";

/** Everything that is open for one registered agent, for as long as its API key holds. */
export interface Session {
  profile: RegisteredProfile;
  /** Of the files that `profile` was read from. */
  stamp: string;
  settings: Settings;
  client: ProviderClient;
  mailbox: Mailbox;
  outbox: Outbox;
  announcer: Announcer;
  trust: Trust;
  ledger: KeyLedger;
}

export interface SessionParts {
  home: Home;
  http: Http;
  store: MessageStore;
  settings: Settings;
  now: () => number;
}

export function openSession({ home, http, store, settings, now }: SessionParts, profile: RegisteredProfile): Session {
  const client = new ProviderClient(http, apiBase(settings, profile), profile.apiKey);
  const { agentId } = profile;
  const dashboard = settings.dashboard && agentId ? new Dashboard(http, client.base, agentId) : undefined;
  const mailbox = new Mailbox(home, profile, { client, dashboard }, store, now);
  const keys = new KnownKeys(home, profile.directory);
  const gone = (messages: readonly UnreadFile[]) => {
    const old = messages.filter(({ changedAt }) => now() - changedAt > FRESH);
    return mailbox.intake.goneFromQueue(old, QUEUE_LOOK);
  };
  const ownKey = () => readPublicKey(home.disk, profile.directory);
  return {
    profile,
    stamp: stampOf(home, profile),
    settings,
    client,
    mailbox,
    announcer: new Announcer(home, profile, now, { gone }),
    outbox: new Outbox(home, profile, client, mailbox, now),
    trust: new Trust(keys, client, { addresses: [profile.address, ...profile.otherAddresses], key: ownKey }, now),
    ledger: new KeyLedger(keys, client, mailbox, now),
  };
}

/** Whether another program has registered the agent anew since, or moved its directory. */
export function isOutdated(home: Home, { profile, stamp }: Session): boolean {
  return stampOf(home, profile) !== stamp;
}

export function stampOf({ disk }: Home, { directory }: RegisteredProfile): string {
  return ["config.json", "api_key"].map((name) => disk.stamp(join(directory, name))).join();
}

/** Where requests go: the URL that the user named now, with the API path of the registration; else its endpoint. */
function apiBase(settings: Settings, profile: RegisteredProfile): string {
  const endpoint = checkedUrl(profile.endpoint, settings.allowHttp);
  if (settings.provider === undefined) return profile.endpoint;
  return checkedUrl(settings.provider.value, settings.allowHttp).origin + endpoint.pathname.replace(/\/+$/, "");
}
