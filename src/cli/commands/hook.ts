import { writeSync } from "node:fs";
import { newsLine } from "../../agent/announce.ts";
import { newsOnDisk } from "../../agent/one-look.ts";
import { readSettings } from "../../agent/settings.ts";
import { readEvent } from "../hook/event.ts";
import { answerOf, HOOK_HOSTS, momentOf } from "../hook/hosts.ts";
import { readOptions } from "../hook/options.ts";

/**
 * Run by a host at its own events: puts one line before its model where there is unread mail that nobody told it about,
 * else prints nothing. Decides from the disk alone; a host takes a failing hook for a fault of its own, so the exit
 * status is 0 but for wrong usage (1, which hosts only report: 2 would block them).
 *
 * @param fetch Brings to disk what the provider has; called where the options ask for it.
 */
export async function hookCommand(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  fetch: () => Promise<void>,
): Promise<number> {
  const options = readOptions(args);
  if (options === undefined) {
    process.stderr.write(
      `amp-mcp hook: expected --host and one of ${HOOK_HOSTS.join(", ")}; also: --agent NAME, --directory DIR, --provider URL, --fetch.\n`,
    );
    return 1;
  }
  try {
    const event = readEvent();
    const name = typeof event?.hook_event_name === "string" ? event.hook_event_name : "";
    const moment = momentOf(options.host, name);
    if (moment === undefined || isSubagent(event)) return 0;
    if (options.fetch) await fetch();
    const news = await newsOnDisk(readSettings(options, env));
    if (news === undefined) return 0;
    const text = `${JSON.stringify(answerOf(name, moment, `Agent mail: ${newsLine(news)}`))}\n`;
    if (moment === "stop") {
      // Noted first: a block that is not noted would be repeated at each stop, for ever.
      if (await news.told(options.host)) print(text);
    } else if (news.isRecorded || moment !== "tool") {
      // Where nothing can be noted, a line with each prompt can be borne, one with each tool cannot.
      print(text);
      await news.told(options.host);
    }
  } catch (thrown) {
    if (env.AMP_LOG === "debug") process.stderr.write(`amp-mcp hook: ${String(thrown)}\n`);
  }
  return 0;
}

/** A subagent does a part of somebody's work; the mail is for who gave it that work. */
function isSubagent(event: Record<string, unknown> | undefined): boolean {
  return typeof event?.agent_id === "string" && event.agent_id !== "";
}

function print(text: string): void {
  let left = Buffer.from(text, "utf8");
  while (left.length > 0) left = left.subarray(writeSync(1, left));
}
