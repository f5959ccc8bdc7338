import type * as z from "zod";
import { AmpError } from "../errors.ts";
import { oneLine } from "../wire/untrusted.ts";

/** Words that models use for our parameters, by what they mean. */
const MEANT: Readonly<Record<string, readonly string[]>> = {
  to: ["recipient", "address", "agent", "target"],
  subject: ["title"],
  message: ["body", "text", "content", "payload"],
  message_id: ["id", "msg_id", "messageid", "message_ids", "reply_to", "in_reply_to"],
  message_ids: ["ids", "id", "message_id", "messageids", "messages"],
  in_reply_to: ["reply_to", "message_id", "thread_id", "inreplyto"],
  provider_url: ["provider", "url", "providerurl"],
  from: ["sender"],
  limit: ["count", "max", "max_results", "page_size"],
  cursor: ["page", "next_cursor", "after"],
};

/**
 * Arguments as the schema has them.
 *
 * @throws AmpError `invalid_argument`: every problem in one sentence each, with the right name for a wrong one.
 */
export function checkArguments<T>(tool: string, schema: z.ZodType<T> & { shape: object }, given: unknown): T {
  const parsed = schema.safeParse(given ?? {});
  if (parsed.success) return parsed.data;
  const known = Object.keys(schema.shape);
  const wrong = parsed.error.issues.flatMap((issue) => (issue.code === "unrecognized_keys" ? issue.keys : []));
  const meant = wrong.map((key) => meaning(key, known));
  const others = parsed.error.issues.flatMap((issue) => {
    const name = issue.path.join(".");
    const isNamedOtherwise = meant.includes(name);
    return issue.code === "unrecognized_keys" || isNamedOtherwise ? [] : [`${name || "arguments"}: ${problem(issue)}.`];
  });
  const sentences = [...wrong.map((key, i) => wrongName(tool, key, meant[i], known)), ...others];
  throw new AmpError("invalid_argument", {
    message: sentences.join(" "),
    notDone: "the call was not carried out.",
    next: `Correct this and call ${tool} again.`,
    mender: "caller",
  });
}

/** The parameter that a wrong name stands for. */
function meaning(key: string, known: readonly string[]): string | undefined {
  const word = key.toLowerCase();
  return known.find((name) => name === word || MEANT[name]?.includes(word));
}

function wrongName(tool: string, key: string, right: string | undefined, known: readonly string[]): string {
  const found = `There is no parameter "${oneLine(key, 40)}"`;
  if (right) return `${found}: ${tool} calls it "${right}".`;
  return known.length === 0 ? `${found}: ${tool} takes none.` : `${found}: ${tool} takes ${known.join(", ")}.`;
}

function problem(issue: z.core.$ZodIssue): string {
  if (issue.code === "invalid_value") return `expected one of ${issue.values.map(String).join(", ")}`;
  if (issue.code === "invalid_type" && issue.message.endsWith("received undefined")) return "is missing";
  const words = issue.message.replace(/^(?:Invalid input|Too big|Too small): /, "").replace("record", "object");
  return oneLine(words.replace(">=", "at least ").replace("<=", "at most "), 200);
}
