import { type AmpError, toAmpError } from "../errors.ts";
import { WAIT_ASK, WAIT_FOUND, WAIT_STEP } from "../wire/limits.ts";
import type { Agent } from "./agent.ts";
import { type InboxPage, pageOf } from "./inbox.ts";
import { Pause } from "./pause.ts";

export interface WaitQuery {
  from?: string | undefined;
  inReplyTo?: string | undefined;
}

/**
 * Waits until a message that fits is there, or one was already. Needs the agent's arrivals to be started; consumes
 * nothing.
 *
 * @param timeout Milliseconds.
 * @param onStep Called now and then with the milliseconds waited so far.
 * @returns What fits; nothing of it when the time was over or the call was cancelled.
 * @throws AmpError `not_registered` and the like, at once.
 */
export async function waitForMail(
  agent: Agent,
  query: WaitQuery,
  timeout: number,
  signal: AbortSignal,
  onStep: (waited: number) => void,
): Promise<InboxPage> {
  const startedAt = performance.now();
  const stop = new AbortController();
  const end = () => stop.abort();
  const timer = setTimeout(end, timeout);
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  const pause = new Pause();
  const ignore = agent.arrivals.onChange(() => pause.shorten(0));
  const look = async () => pageOf(agent, await agent.waitingOnDisk(), { ...query, limit: WAIT_FOUND });
  let offline: AmpError | undefined;
  /** Beside the looks at the disk, which a provider that hangs must not hold up. */
  const ask = async () => {
    ({ offline } = await agent.peek(stop.signal).catch((thrown: unknown) => ({ offline: toAmpError(thrown) })));
    pause.shorten(0);
  };
  try {
    let page = await look();
    let askedAt = Number.NEGATIVE_INFINITY;
    while (page.fitting === 0 && !stop.signal.aborted) {
      onStep(performance.now() - startedAt);
      void agent.arrivals.activity();
      // Once where this process receives; again where another one does, which may hang, or where nobody answered.
      const isSettled = offline === undefined && agent.arrivals.receiving?.by === "here";
      if (askedAt < 0 || (!isSettled && performance.now() - askedAt > WAIT_ASK)) {
        askedAt = performance.now();
        void ask();
      }
      await pause.for(WAIT_STEP, stop.signal);
      page = await look();
    }
    // That the time was over in the middle of a question says nothing of the provider.
    const problem = page.fitting > 0 || offline?.code === "outcome_unknown" ? undefined : offline;
    return { ...page, waiting: { ...page.waiting, offline: problem } };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
    ignore();
  }
}
