/**
 * Every failure a user or a model can meet. The set is closed: configuration, tests and other programs match on
 * these words, so a code is added, never renamed.
 */
export type AmpErrorCode =
  | "invalid_argument"
  | "not_registered"
  | "ambiguous_agent"
  | "agent_incomplete"
  | "other_agent"
  | "unreachable"
  | "outcome_unknown"
  | "insecure_url"
  | "unauthorized"
  | "rate_limited"
  | "recipient_not_found"
  | "name_taken"
  | "tenant_mismatch"
  | "key_conflict"
  | "too_large"
  | "refused"
  | "provider_failed"
  | "bad_answer"
  | "unknown_message"
  | "loop_stopped"
  | "confirmation_needed"
  | "declined"
  | "storage_failed"
  | "listen_failed"
  | "locked"
  | "internal";

/** Who can mend it: the caller by other arguments, a person by configuration, the provider, or time alone. */
export type Mender = "caller" | "person" | "provider" | "time";

export interface AmpErrorParts {
  /** What happened: what was expected and what was found. One or two sentences. */
  message: string;
  /** What was not done because of it, so that nobody believes otherwise. */
  notDone?: string;
  /** The next step, for the person or the model that reads this. */
  next: string;
  mender: Mender;
  /** HTTP status, where a provider refused. */
  status?: number;
  /** Milliseconds after which the provider wants to hear from us again. */
  retryAfter?: number | undefined;
  cause?: unknown;
}

/** The one error type of this package. Never carries a key, an API key or a header in any of its texts. */
export class AmpError extends Error {
  override readonly name = "AmpError";
  readonly code: AmpErrorCode;
  readonly notDone: string | undefined;
  readonly next: string;
  readonly mender: Mender;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;

  constructor(code: AmpErrorCode, parts: AmpErrorParts) {
    super(parts.message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.code = code;
    this.notDone = parts.notDone;
    this.next = parts.next;
    this.mender = parts.mender;
    this.status = parts.status;
    this.retryAfter = parts.retryAfter;
  }

  /** What happened, what was not done, what to do next: one sentence a line. */
  describe(): string {
    const lines = [`${this.code}: ${this.message}`];
    if (this.notDone !== undefined) lines.push(`Not done: ${this.notDone}`);
    lines.push(`Next: ${this.next}`);
    return lines.join("\n");
  }
}

/** Anything thrown, as an `AmpError`: itself, or `internal` with the cause kept and its text left out. */
export function toAmpError(thrown: unknown): AmpError {
  if (thrown instanceof AmpError) return thrown;
  const kind = thrown instanceof Error ? thrown.name : typeof thrown;
  return new AmpError("internal", {
    message: `An unexpected ${kind} stopped this.`,
    next: "Try once more. If it happens again, start with AMP_LOG=debug, which writes the details to standard error, and report it.",
    mender: "person",
    cause: thrown,
  });
}

/** The `code` of a Node system error (`ENOENT`, `ECONNREFUSED` …), of it or of its cause. */
export function systemCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error)) return undefined;
  if (!(thrown instanceof AmpError) && "code" in thrown && typeof thrown.code === "string") return thrown.code;
  return systemCode(thrown.cause);
}
