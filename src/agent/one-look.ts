import { Disk } from "../store/disk.ts";
import { Home } from "../store/home.ts";
import { Announcer, type News } from "./announce.ts";
import { resolveIdentity } from "./identity.ts";
import type { Settings } from "./settings.ts";

/**
 * News for the agent that the settings name, from the disk alone and with the least code: what a hook needs. Nothing
 * where no agent is.
 *
 * @throws AmpError `ambiguous_agent`.
 */
export async function newsOnDisk(settings: Settings): Promise<News | undefined> {
  const home = new Home(settings.root.value, new Disk());
  const identity = await resolveIdentity(home, settings);
  if (identity.kind === "none") return undefined;
  return (await Announcer.forOneLook(home, identity.profile, Date.now)).claim();
}
