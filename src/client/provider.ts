import { AmpError } from "../errors.ts";
import { sameAddress } from "../wire/address.ts";
import {
  API_BASE,
  acknowledgedSchema,
  type Count,
  countSchema,
  type Discovery,
  discoverySchema,
  PATHS,
  pendingSchema,
  type Registered,
  type RegisterRequest,
  type Routed,
  registeredSchema,
  resolvedSchema,
  routedSchema,
  WELL_KNOWN,
} from "../wire/api.ts";
import { parseJson } from "../wire/json.ts";
import { parsePublicKey } from "../wire/keys.ts";
import { LONG_POLL_GRACE, PENDING_PAGE, PROBE_DEADLINE } from "../wire/limits.ts";
import { type Message, readMessage } from "../wire/message.ts";
import { redact, withoutKey } from "../wire/secrets.ts";
import { errorBody, parseAnswer, refusal } from "./answer.ts";
import type { Http, HttpAnswer } from "./http.ts";

/** A provider, as found behind the URL that a person gave. */
export interface Found {
  /** Base of its API, on that URL's own origin: what a provider advertises often does not answer. */
  base: string;
  discovery: Discovery;
}

/** Unauthenticated: who is there? `/.well-known`, else `/api/v1/info`, else the URL itself is the base. */
export async function discover(http: Http, url: URL, signal?: AbortSignal): Promise<Found> {
  const wellKnown = await probe(http, new URL(WELL_KNOWN, url), signal);
  if (wellKnown?.endpoint !== undefined && URL.canParse(wellKnown.endpoint)) {
    return { base: baseOf(url, new URL(wellKnown.endpoint).pathname), discovery: wellKnown };
  }
  const info = await probe(http, new URL(`${API_BASE}${PATHS.info}`, url), signal);
  if (info !== undefined) return { base: baseOf(url, API_BASE), discovery: info };
  const own = await probe(http, new URL(`${withoutSlash(url.pathname)}${PATHS.info}`, url), signal);
  const path = withoutSlash(url.pathname) === "" ? API_BASE : url.pathname;
  return { base: baseOf(url, path), discovery: own ?? { capabilities: [] } };
}

async function probe(http: Http, url: URL, signal: AbortSignal | undefined): Promise<Discovery | undefined> {
  const answer = await http.request({ method: "GET", url, deadline: PROBE_DEADLINE, signal });
  const parsed = answer.status === 200 ? discoverySchema.safeParse(parseJson(redact(answer.text))) : undefined;
  return parsed?.success && (parsed.data.provider ?? parsed.data.endpoint) !== undefined ? parsed.data : undefined;
}

function baseOf(url: URL, path: string): string {
  return `${url.origin}${withoutSlash(path)}`;
}

function withoutSlash(path: string): string {
  return path.replace(/\/+$/, "");
}

/** @throws AmpError as `parseAnswer`; `tenant_mismatch` with the tenant that the provider wants in `expectedTenant`. */
export async function register(
  http: Http,
  base: string,
  request: RegisterRequest,
  signal?: AbortSignal,
): Promise<Registered> {
  const url = new URL(base + PATHS.register);
  const answer = await http.request({ method: "POST", url, body: JSON.stringify(request), signal });
  const expected = answer.status === 400 ? errorBody(answer).details?.expected_tenant : undefined;
  if (expected !== undefined) throw new TenantMismatch(refusal(answer, "register"), expected);
  return parseAnswer(registeredSchema, answer, "register");
}

export class TenantMismatch extends AmpError {
  readonly expectedTenant: string;

  constructor(refused: AmpError, expectedTenant: string) {
    super("tenant_mismatch", {
      message: refused.message,
      notDone: "the agent was not registered.",
      next: "Leave `tenant` out, or give the one that the provider names.",
      mender: "caller",
    });
    this.expectedTenant = expectedTenant;
  }
}

export interface PendingPage {
  messages: Message[];
  /** Items that are no AMP messages; they stay in the queue. */
  unreadable: number;
  /** How many more wait behind this page. */
  remaining: number;
  /** What to ask `after`, of a provider that lists `notify:v1`. */
  nextCursor: string | undefined;
}

export interface PendingQuery {
  limit?: number;
  /** Only what was queued after this cursor. */
  after?: string | undefined;
  /** Milliseconds that the provider may hold the request until there is something. */
  wait?: number;
  deadline?: number;
  signal?: AbortSignal | undefined;
}

/** The provider no longer knows a cursor (HTTP 410): the next look has to be without one. */
export class CursorExpired extends AmpError {
  constructor(refused: AmpError) {
    super("bad_answer", { message: refused.message, next: "Ask again without a cursor.", mender: "time" });
  }
}

/** One provider with one agent's API key. Its answers are checked against `wire/api`; its words never contain the key. */
export class ProviderClient {
  readonly base: string;
  readonly #http: Http;
  readonly #apiKey: string;

  constructor(http: Http, base: string, apiKey: string) {
    this.#http = http;
    this.base = base;
    this.#apiKey = apiKey;
  }

  /** @param body the route request, already serialised: its payload's bytes are the ones that were signed. */
  async route(body: string, signal?: AbortSignal): Promise<Routed> {
    const answer = this.#quotable(await this.#call("POST", PATHS.route, { body, signal }));
    return parseAnswer(routedSchema, answer, "send");
  }

  /** What the provider says of itself and what it can do in `/info`; nothing where it has no such page. */
  async info(signal?: AbortSignal): Promise<Discovery> {
    const url = new URL(this.base + PATHS.info);
    const answer = await this.#http.request({ method: "GET", url, deadline: PROBE_DEADLINE, signal });
    if (answer.status >= 400 && answer.status < 500) return { capabilities: [] };
    return parseAnswer(discoverySchema, answer, "status", this.#quotable(answer));
  }

  /**
   * Calls `onFrame` for whatever comes by the provider's WebSocket, until that or `signal` ends it. Only for one that
   * promises to keep what it pushes: others take it off the queue. Loaded only then, because few need it.
   *
   * @param advertised Where it is, in the provider's words.
   */
  async listen(advertised: string | undefined, onFrame: () => void, signal: AbortSignal): Promise<void> {
    const { listen, socketUrl } = await import("./socket.ts");
    return listen(socketUrl(this.base, advertised), this.#apiKey, onFrame, signal);
  }

  /** How much waits, without the messages, and the cursor for "everything up to now". */
  async count(signal?: AbortSignal): Promise<Count> {
    const answer = this.#quotable(await this.#call("GET", PATHS.count, { deadline: PROBE_DEADLINE, signal }));
    return parseAnswer(countSchema, answer, "list");
  }

  /**
   * The oldest messages of the queue, which stay in it. A page too large to take is asked for again with fewer
   * messages, down to one.
   *
   * @throws CursorExpired for an `after` that the provider does not know.
   */
  async pending(query: PendingQuery = {}): Promise<PendingPage> {
    const { limit = PENDING_PAGE, after, wait = 0 } = query;
    const search = new URLSearchParams({
      limit: String(limit),
      ...(after === undefined ? {} : { after }),
      ...(wait === 0 ? {} : { wait: String(Math.round(wait / 1000)) }),
    });
    const deadline = query.deadline ?? (wait === 0 ? undefined : wait + LONG_POLL_GRACE);
    const options = { signal: query.signal, ...(deadline === undefined ? {} : { deadline }) };
    try {
      const answer = await this.#call("GET", `${PATHS.pending}?${search}`, options);
      if (answer.status === 410) throw new CursorExpired(refusal(this.#quotable(answer), "list"));
      const parsed = parseAnswer(pendingSchema, answer, "list", this.#quotable(answer));
      const { messages: items, next_cursor: nextCursor } = parsed;
      // A full page from a provider that does not say what is behind it may not be all.
      const remaining = parsed.remaining ?? (items.length < limit ? 0 : 1);
      const messages = items.map(readMessage).filter((message) => message !== undefined);
      return { messages, unreadable: items.length - messages.length, remaining, nextCursor };
    } catch (thrown) {
      const isPageTooLarge = thrown instanceof AmpError && thrown.code === "too_large" && limit > 1;
      if (!isPageTooLarge) throw thrown;
      return this.pending({ ...query, limit: Math.ceil(limit / 10) });
    }
  }

  /** Takes one message off the queue; `false` if it was not there (any more). */
  async acknowledge(id: string, signal?: AbortSignal): Promise<boolean> {
    const path = `${PATHS.pending}?id=${encodeURIComponent(id)}`;
    const answer = this.#quotable(await this.#call("DELETE", path, { signal }));
    if (answer.status === 404 && errorBody(answer).error === "not_found") return false;
    parseAnswer(acknowledgedSchema, answer, "acknowledge");
    return true;
  }

  /** Takes up to 100 messages off the queue; the provider says how many were there. */
  async acknowledgeAll(ids: readonly string[], signal?: AbortSignal): Promise<void> {
    const body = JSON.stringify({ ids });
    const answer = this.#quotable(await this.#call("POST", PATHS.pending, { body, signal }));
    parseAnswer(acknowledgedSchema, answer, "acknowledge");
  }

  /** What a provider says may echo the key that it was sent. Messages alone are taken as they are. */
  #quotable(answer: HttpAnswer): HttpAnswer {
    return { ...answer, text: redact(withoutKey(answer.text, this.#apiKey)) };
  }

  /**
   * The public key that the provider has for an address; `undefined` where it has none, cannot say, or answers with
   * another address than the one asked for (AI Maestro looks up the bare name, whatever follows it).
   */
  async resolve(address: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    try {
      const path = `${PATHS.resolve}/${encodeURIComponent(address)}`;
      const answer = await this.#call("GET", path, { deadline: PROBE_DEADLINE, signal });
      const { address: found, public_key } = parseAnswer(resolvedSchema, answer, "status");
      return sameAddress(found, address) ? parsePublicKey(public_key) : undefined;
    } catch (thrown) {
      if (thrown instanceof AmpError) return undefined;
      throw thrown;
    }
  }

  #call(
    method: "GET" | "POST" | "DELETE",
    path: string,
    options: { body?: string; deadline?: number; signal?: AbortSignal | undefined },
  ): Promise<HttpAnswer> {
    const { body, deadline, signal } = options;
    return this.#http.request({
      method,
      url: new URL(this.base + path),
      apiKey: this.#apiKey,
      ...(body === undefined ? {} : { body }),
      ...(deadline === undefined ? {} : { deadline }),
      signal,
    });
  }
}
