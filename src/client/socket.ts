import { Agent, buildConnector, WebSocket } from "undici";
import { parseJson, text } from "../wire/json.ts";
import {
  REQUEST_DEADLINE,
  SOCKET_AUTH_AGAIN,
  SOCKET_AUTH_DELAY,
  SOCKET_FRAME_MAX_BYTES,
  SOCKET_SILENT,
  SOCKET_WORD_MAX_CHARS,
} from "../wire/limits.ts";

/** Where the protocol has it, below the provider's origin. */
const SOCKET_PATH = "/v1/ws";

/**
 * Where the provider's WebSocket is: on its own origin, since the API key is sent there, at the path that it names.
 *
 * @param base of its API.
 * @param advertised A path or URL, in the provider's own words; one of another origin is not followed.
 */
export function socketUrl(base: string, advertised: string | undefined): URL {
  const url = new URL(new URL(base).origin);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const named = advertised !== undefined && URL.canParse(advertised, url.href) ? new URL(advertised, url) : undefined;
  if (named) named.protocol = named.protocol.replace("http", "ws");
  const isOwn = named?.protocol === url.protocol && named.host === url.host;
  // Not by way of a new URL: a path that begins with two slashes would be another host in it.
  url.pathname = isOwn ? named.pathname : SOCKET_PATH;
  url.search = isOwn ? named.search : "";
  return url;
}

/**
 * One connection, over which nothing is sent but the API key. What comes is not looked at any closer than needed to
 * know that the key was taken or refused: whoever wants the messages asks the queue for them.
 *
 * @param onFrame Called for every frame but an error, and when the key was taken.
 * @param limits Milliseconds until the key must have been taken, and that it may be silent from then on.
 * @returns When it is over, by whatever cause, and nothing of it is left open. Never rejects.
 */
export function listen(
  url: URL,
  apiKey: string,
  onFrame: () => void,
  signal: AbortSignal,
  limits: { deadline?: number; silent?: number } = {},
): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { deadline = REQUEST_DEADLINE, silent = SOCKET_SILENT } = limits;
  const end = new AbortController();
  const dispatcher = new Agent({
    webSocket: { maxPayloadSize: SOCKET_FRAME_MAX_BYTES },
    // What was upgraded is no longer the dispatcher's, and a peer that is silent never completes a closing handshake.
    connect: connectorUntil(end.signal),
  });
  const socket = new WebSocket(url.href, { dispatcher });
  socket.binaryType = "arraybuffer";
  return new Promise((resolve) => {
    const stop = () => {
      if (end.signal.aborted) return;
      clearTimeout(silence);
      clearTimeout(auth);
      signal.removeEventListener("abort", stop);
      socket.close();
      end.abort();
      void dispatcher.destroy().catch(() => {});
      resolve();
    };
    // Until the key was taken, one deadline for all of it.
    let silence = setTimeout(stop, deadline).unref();
    let auth: NodeJS.Timeout | undefined;
    // AI Maestro listens only a moment after it has accepted, and what was sent before is lost.
    const authenticateIn = (milliseconds: number) => {
      auth = setTimeout(() => {
        socket.send(JSON.stringify({ type: "auth", token: apiKey }));
        authenticateIn(SOCKET_AUTH_AGAIN);
      }, milliseconds).unref();
    };
    signal.addEventListener("abort", stop, { once: true });
    socket.addEventListener("open", () => authenticateIn(SOCKET_AUTH_DELAY));
    socket.addEventListener("close", stop);
    socket.addEventListener("message", ({ data }: { data: unknown }) => {
      if (end.signal.aborted) return;
      if (wordOf(data) === "error") return stop();
      clearTimeout(auth);
      clearTimeout(silence);
      silence = setTimeout(stop, silent).unref();
      onFrame();
    });
  });
}

/** Makes connections as undici does, each of which ends at once with `signal`. */
function connectorUntil(signal: AbortSignal): buildConnector.connector {
  const connect = buildConnector({ timeout: REQUEST_DEADLINE });
  return (options, callback) =>
    connect(options, (...made: Parameters<buildConnector.Callback>) => {
      const [, connection] = made;
      if (signal.aborted) connection?.destroy();
      else signal.addEventListener("abort", () => connection?.destroy(), { once: true });
      callback(...made);
    });
}

/** The type of a frame; of a long one it does not matter. */
function wordOf(data: unknown): string | undefined {
  return typeof data === "string" && data.length <= SOCKET_WORD_MAX_CHARS ? text(parseJson(data), "type") : undefined;
}
