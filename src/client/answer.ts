import type * as z from "zod";
import { AmpError, type AmpErrorCode, type Mender } from "../errors.ts";
import { type ErrorBody, errorBodySchema } from "../wire/api.ts";
import { parseJson } from "../wire/json.ts";
import { PROVIDER_TEXT_MAX_CHARS } from "../wire/limits.ts";
import { redact } from "../wire/secrets.ts";
import { oneLine } from "../wire/untrusted.ts";
import type { HttpAnswer } from "./http.ts";

/** What was asked of a provider, in words for an error: "register", "send", "list", "acknowledge". */
export type Purpose = "register" | "send" | "list" | "acknowledge" | "status";

/**
 * An answer as the type its schema promises.
 *
 * @throws AmpError for every status but 2xx, in the words of the provider, and `bad_answer` for a body that is not
 *   what the schema asks for.
 * @param quotable the answer as an error may quote it: without the API key of the request.
 */
export function parseAnswer<T>(
  schema: z.ZodType<T>,
  answer: HttpAnswer,
  purpose: Purpose,
  quotable: HttpAnswer = answer,
): T {
  if (answer.status < 200 || answer.status > 299) throw refusal(quotable, purpose);
  const parsed = schema.safeParse(parseJson(answer.text));
  if (parsed.success) return parsed.data;
  throw new AmpError("bad_answer", {
    message: `The provider answered HTTP ${answer.status}, but not with what AMP asks for: ${excerpt(quotable.text)}.`,
    notDone: purpose === "list" || purpose === "status" ? "nothing was changed." : "whether it was done is unknown.",
    next: "Check that the URL is that of an AMP provider (amp_status shows it).",
    mender: "provider",
  });
}

/** The error body of an answer, whatever its shape; empty for HTML pages and empty bodies. */
export function errorBody(answer: HttpAnswer): ErrorBody {
  const parsed = errorBodySchema.safeParse(parseJson(answer.text));
  return parsed.success ? parsed.data : {};
}

interface Rule {
  code: AmpErrorCode;
  mender: Mender;
  next: string;
}

/** What follows from a status or an error word, for whoever reads it. The first that fits counts. */
function ruleFor(status: number, body: ErrorBody, purpose: Purpose): Rule {
  const { error } = body;
  const isSend = purpose === "send";
  const rules: readonly (readonly [boolean, AmpErrorCode, Mender, string])[] = [
    [error === "name_taken", "name_taken", "caller", otherNames(body)],
    [error === "key_already_registered", "name_taken", "person", KEY_ELSEWHERE],
    [["key_conflict", "key_revoked", "invalid_signature"].includes(error ?? ""), "key_conflict", "person", OTHER_KEY],
    [error === "organization_not_set", "refused", "person", NO_ORGANIZATION],
    [error === "external_provider", "refused", "caller", OWN_MESH],
    [status === 401, "unauthorized", "caller", REREGISTER],
    [status === 413, "too_large", "caller", "Send less: put the text in a file and say where it is."],
    [status === 404 && isSend && error !== undefined, "recipient_not_found", "caller", CHECK_NAME],
    [status === 404 || status === 405, "bad_answer", "person", NO_PROVIDER],
    [status >= 300 && status < 400, "bad_answer", "person", REDIRECT],
    // Only the provider's own word says that nothing came of it; a gateway's page says nothing at all.
    [status >= 500 && isSend && error !== "internal_error", "outcome_unknown", "caller", LOOK_FIRST],
    [status >= 500, "provider_failed", "provider", "Call again later; if it stays, look at the provider's own log."],
  ];
  const [, code, mender, next] = rules.find(([fits]) => fits) ?? ([true, "refused", "caller", CORRECT] as const);
  return { code, mender, next };
}

function otherNames(body: ErrorBody): string {
  const names = (body.details?.suggestions ?? body.suggestions ?? [])
    .slice(0, 5)
    .map((name) => oneLine(redact(name), 63));
  return `Choose another name${names.length > 0 ? `, for example ${names.join(", ")}` : ""}, and call amp_register again.`;
}

const REREGISTER =
  "Register again under the same name (amp_register): the key pair stays, the provider gives a new API key.";
const KEY_ELSEWHERE =
  "This key pair is registered under another name: use that name, or register a new name in its own directory.";
const OTHER_KEY =
  "The provider knows another key for this agent. A person has to settle it: restore the old keys/ directory, or register a new name.";
const NO_ORGANIZATION =
  "Finish AI Maestro's setup (open its URL in a browser and set the organization), then call again.";
const OWN_MESH = "This provider delivers only within its own mesh; use an address of it.";
const CHECK_NAME = "Check the name with whoever gave it to you; a bare name means an agent of your own provider.";
const NO_PROVIDER =
  "The URL is probably not an AMP provider, or an older one without this call; check it with amp_status.";
const REDIRECT =
  "Use the URL that it points to, if you trust it; redirects are not followed, because they could lead the API key elsewhere.";
const LOOK_FIRST = "Ask the recipient whether it arrived before you send it again.";
const CORRECT = "Correct what the provider names, then call again.";

/** An answer other than 2xx as an error: the provider's own words, redacted and cut, and the next step. */
export function refusal(answer: HttpAnswer, purpose: Purpose): AmpError {
  const body = errorBody(answer);
  const rule = ruleFor(answer.status, body, purpose);
  const words = [body.error, body.message].filter((word) => word !== undefined).join(": ");
  const field = body.field === undefined ? "" : ` (field ${oneLine(redact(body.field), 40)})`;
  return new AmpError(rule.code, {
    message: stopped(
      `The provider answered HTTP ${answer.status}: ${words === "" ? excerpt(answer.text) : clean(words)}${field}`,
    ),
    notDone:
      rule.code === "outcome_unknown"
        ? "whether it was sent is unknown; it was not sent a second time."
        : NOT_DONE[purpose],
    next: rule.next,
    mender: rule.mender,
    status: answer.status,
  });
}

const NOT_DONE: Record<Purpose, string> = {
  register: "the agent was not registered; its keys are kept for the next try.",
  send: "by the provider's word the message was not accepted.",
  list: "nothing was fetched or changed.",
  acknowledge: "nothing was acknowledged.",
  status: "nothing was changed.",
};

/** With one full stop at its end. */
function stopped(sentence: string): string {
  return /[.!?…]$/.test(sentence) ? sentence : `${sentence}.`;
}

function clean(text: string): string {
  return oneLine(redact(text), PROVIDER_TEXT_MAX_CHARS);
}

/** A page or nothing: its kind rather than its markup. */
function excerpt(text: string): string {
  if (text.trim() === "") return "an empty body";
  if (/^\s*</.test(text)) return "an HTML page";
  return `"${clean(text)}"`;
}
