import { Agent } from "undici";
import { KEEP_ALIVE, REQUEST_DEADLINE } from "../wire/limits.ts";

/** The pool of kept-alive connections; a module of its own, so that undici is loaded with the first request only. */
export function openConnections(): Agent {
  return new Agent({
    keepAliveTimeout: KEEP_ALIVE,
    connections: 8,
    pipelining: 1,
    connect: { timeout: REQUEST_DEADLINE },
  });
}
