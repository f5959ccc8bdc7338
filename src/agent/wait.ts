import { WAIT_FOUND, WAIT_STEP } from "../wire/limits.ts";
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
  signal.addEventListener("abort", end, { once: true });
  const pause = new Pause();
  const ignore = agent.arrivals.onChange(() => pause.shorten(0));
  const look = async () => pageOf(agent, await agent.waitingOnDisk(), { ...query, limit: WAIT_FOUND });
  try {
    // The provider is asked once: by the present end of its queue, not by the last look of who receives.
    let page = await pageOf(agent, await agent.peek(stop.signal), { ...query, limit: WAIT_FOUND });
    let { offline } = page.waiting;
    while (page.fitting === 0 && !stop.signal.aborted) {
      onStep(performance.now() - startedAt);
      void agent.arrivals.activity();
      await pause.for(WAIT_STEP, stop.signal);
      page = await look();
      // Who receives knows better by now.
      const { receiving } = agent.arrivals;
      if (receiving?.by === "here" && receiving.way !== undefined) offline = receiving.problem;
    }
    return { ...page, waiting: { ...page.waiting, offline } };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
    ignore();
  }
}
