import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Pace } from "../../src/agent/pace.ts";
import { BURST, BURST_REFILL, FAILED_MAX, FAILED_MIN, IDLE_MAX, IDLE_MIN } from "../../src/wire/limits.ts";

const OUTCOMES = ["news", "held", "more", "quiet", "failed"] as const;
type Outcome = (typeof OUTCOMES)[number];

function pauseAfter(pace: Pace, outcome: Outcome): number {
  if (outcome === "quiet") return pace.quiet();
  return outcome === "failed" ? pace.failed() : pace.goOn(outcome);
}

/** A pace, and a clock that its pauses drive. */
function start(random = () => 0.5) {
  const clock = { at: 0 };
  return { clock, pace: new Pace(() => clock.at, random) };
}

const step = fc.record({
  outcome: fc.constantFrom(...OUTCOMES),
  /** Milliseconds that the request took. */
  took: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 300 }), fc.nat(60_000)),
  isActive: fc.boolean(),
});

/** Of all periods the most requests in one, less ten for each of its seconds. */
function mostAtOnce(asked: readonly number[]): number {
  const excesses = asked.flatMap((from, first) =>
    asked.slice(first).map((to, count) => count + 1 - (2 * (to - from)) / BURST_REFILL),
  );
  return Math.max(0, ...excesses);
}

describe("whatever a provider answers, in whatever order", () => {
  it("no period sees more requests than a burst and ten a second", () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300, size: "max" }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (steps, jitter) => {
          const { clock, pace } = start(() => jitter);
          const asked: number[] = [];
          for (const { outcome, took, isActive } of steps) {
            asked.push(clock.at);
            clock.at += took;
            if (isActive) pace.activity();
            clock.at += pauseAfter(pace, outcome);
          }
          expect(mostAtOnce(asked)).toBeLessThanOrEqual(BURST + 1);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("no pause is longer than the longest, whatever the clock does meanwhile", () => {
    const jump = fc.integer({ min: -1e12, max: 1e12 });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...OUTCOMES), jump)), (steps) => {
        const { clock, pace } = start(Math.random);
        for (const [outcome, by] of steps) {
          clock.at += by;
          const pause = pauseAfter(pace, outcome);
          expect(pause).toBeGreaterThanOrEqual(0);
          expect(pause).toBeLessThanOrEqual(1.2 * Math.max(IDLE_MAX, FAILED_MAX));
        }
      }),
    );
  });

  it("a failure or a quiet answer is never followed at once", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...OUTCOMES)), fc.constantFrom("quiet", "failed"), (before, last) => {
        const { pace } = start(() => 0);
        for (const outcome of before) pauseAfter(pace, outcome);
        expect(pauseAfter(pace, last)).toBeGreaterThanOrEqual(0.8 * Math.min(IDLE_MIN, FAILED_MIN));
      }),
    );
  });
});

describe("a burst", () => {
  it("may follow at once, then one request in a while, and is whole again after a rest", () => {
    const { clock, pace } = start();
    const pauses = () => Array.from({ length: BURST + 2 }, () => pace.goOn("news"));
    const burst = [...Array.from({ length: BURST - 1 }, () => 0), BURST_REFILL, BURST_REFILL, BURST_REFILL];
    expect(pauses()).toEqual(burst);
    clock.at += BURST * BURST_REFILL;
    expect(pauses()).toEqual(burst);
  });
});

describe("pauses", () => {
  const times = (count: number, pause: () => number) => Array.from({ length: count }, pause);

  it("grow while nothing comes, and begin anew after news and when somebody is active", () => {
    const { pace } = start();
    const idle = times(12, () => pace.quiet());
    expect([idle[0], idle[1], idle.at(-1)]).toEqual([IDLE_MIN, 1.5 * IDLE_MIN, IDLE_MAX]);
    pace.goOn("held");
    expect(pace.quiet()).toBe(IDLE_MAX);
    pace.goOn("news");
    expect(pace.quiet()).toBe(IDLE_MIN);
    pace.quiet();
    pace.activity();
    expect(pace.quiet()).toBe(IDLE_MIN);
  });

  it("double while the provider fails, also for somebody who waits, and begin anew when it has answered", () => {
    const { pace } = start();
    pace.activity();
    expect(times(6, () => pace.failed())).toEqual([1000, 2000, 4000, 8000, FAILED_MAX, FAILED_MAX]);
    for (const outcome of ["quiet", "news", "held"] as const) {
      pauseAfter(pace, outcome);
      expect(times(2, () => pace.failed())).toEqual([1000, 2000]);
    }
  });

  it("go on growing when all that was answered between two failures is that there is more", () => {
    const { pace } = start();
    pace.failed();
    pace.goOn("more");
    expect(pace.failed()).toBe(2 * FAILED_MIN);
  });

  it("are a fifth shorter or longer by chance", () => {
    expect(start(() => 0).pace.failed()).toBeCloseTo(0.8 * FAILED_MIN);
    expect(start(() => 1).pace.failed()).toBeCloseTo(1.2 * FAILED_MIN);
  });
});
