import { mkdirSync } from "node:fs";
import path from "node:path";
import { expect, onTestFinished } from "vitest";
import { Mailbox } from "../../src/agent/mailbox.ts";
import { Receiver, type ReceiverOptions } from "../../src/agent/receive.ts";
import { Http } from "../../src/client/http.ts";
import { ProviderClient } from "../../src/client/provider.ts";
import { Disk } from "../../src/store/disk.ts";
import { Home } from "../../src/store/home.ts";
import { MessageStore } from "../../src/store/messages.ts";
import { FAILED_MAX, IDLE_MAX } from "../../src/wire/limits.ts";
import { scratchRoot, tree } from "./agent.ts";
import { type FakeProvider, startFakeProvider } from "./fake-provider.ts";
import type { NotifyQueue } from "./notify-queue.ts";

const KEY = `amp_live_sk_${"0123456789abcdef".repeat(4)}`;

/** A receiver at work, of which a test decides when each of its pauses ends. */
export interface Watched {
  receiver: Receiver;
  fake: FakeProvider;
  /** Milliseconds, driven by the pauses and by the test alone. */
  clock: { at: number };
  /** Pauses that requests asked for by themselves; they are over at once. */
  waits: number[];
  /** Every request passes its deadline at once from now on, or no more. */
  hurry(isHurried: boolean): void;
  /** Ends the present pause, and says how many milliseconds the receiver asks for after its next look. */
  round(): Promise<number>;
  rounds(count: number): Promise<number[]>;
  /** The next pause that the receiver asks for although the present one was not ended. */
  rung(): Promise<number>;
  /** As `round`, of the pauses between two connections of its WebSocket. */
  reconnect(): Promise<number>;
  /** How often it told of new mail. */
  told(): number;
  /** Where its messages are kept. */
  inbox: string;
  /** Ids of the messages that are kept, by the names of their files. */
  kept(): string[];
  /** Settles when it has ended, by itself or by `stop`. */
  ended: Promise<void>;
  stop(): void;
}

/** Starts to receive for bob from `queue`. When the test ends, nothing may have been taken off or marked there. */
export async function watchReceiver(
  queue: NotifyQueue,
  { root = scratchRoot(), ...options }: Pick<ReceiverOptions, "elsewhere"> & { root?: string } = {},
): Promise<Watched> {
  const fake = await startFakeProvider(
    (request) => queue.act(request),
    (incoming, connection) => queue.sockets.accept(incoming, connection),
  );
  const clock = { at: Date.parse("2030-01-01T00:00:00.000Z") };
  const waits: number[] = [];
  let leap = 0;
  const http = new Http({
    now: () => {
      clock.at += leap;
      return clock.at;
    },
    wait: async (milliseconds) => {
      waits.push(milliseconds);
      clock.at += milliseconds;
    },
  });
  const client = new ProviderClient(http, `${fake.url}/api/v1`, KEY);
  const home = new Home(root, new Disk());
  const directory = path.join(root, "agents", "bob");
  mkdirSync(directory, { recursive: true });
  const now = () => clock.at;
  const sources = { client, dashboard: undefined };
  const mailbox = new Mailbox(home, bob(directory, client.base), sources, new MessageStore(home.disk), now);
  const turn = turnstile((milliseconds) => {
    clock.at += milliseconds;
  });
  const bell = turnstile(() => {});
  const receiver = new Receiver(client, mailbox.intake, {
    now,
    pause: turn.pause,
    doorbellPause: bell.pause,
    ...options,
  });
  const stopping = new AbortController();
  let told = 0;
  const ended = receiver.run(() => {
    told += 1;
  }, stopping.signal);
  const outcome = ended.catch(() => {});
  onTestFinished(async () => {
    stopping.abort();
    await outcome;
    await http.close();
    queue.sockets.close();
    await fake.close();
    expect(fake.requests.filter(({ method, body }) => method !== "GET" || body !== "")).toEqual([]);
  });
  const inbox = path.join(directory, "messages", "inbox");
  return {
    receiver,
    fake,
    clock,
    waits,
    hurry: (isHurried) => {
      leap = isHurried ? 60_000 : 0;
    },
    round: turn.next,
    rounds: async (count) => {
      const pauses: number[] = [];
      while (pauses.length < count) pauses.push(await turn.next());
      return pauses;
    },
    rung: turn.peek,
    reconnect: bell.next,
    told: () => told,
    inbox,
    kept: () => tree(inbox).flatMap((file) => (file.endsWith(".json") ? [path.basename(file, ".json")] : [])),
    ended,
    stop: () => stopping.abort(),
  };
}

/** A receiver that has looked once, and waits for its provider to tell of new mail. */
export async function holding(queue: NotifyQueue): Promise<{ watched: Watched; held: Promise<number> }> {
  const watched = await watchReceiver(queue);
  expect(await watched.round()).toBe(0);
  const isHeld = queue.next("held");
  const held = watched.round();
  await isHeld;
  return { watched, held };
}

/** Pauses while a provider fails, and while it has nothing. */
export const FAILING = [1000, 2000, 4000, 8000, FAILED_MAX, FAILED_MAX];
export const IDLE = [1000, 1500, 2250, 3375, 5062, 7594, 11391, 17086, 25629, IDLE_MAX, IDLE_MAX];

/** Whether these are the pauses, give or take the fifth that keeps several machines out of step. */
export function expectPauses(pauses: readonly number[], expected: readonly number[]): void {
  expect(pauses).toHaveLength(expected.length);
  for (const [i, pause] of pauses.entries()) expect(Math.abs(pause / (expected[i] ?? 0) - 1)).toBeLessThan(0.21);
}

/** Pauses that end when the test lets them. */
function turnstile(onEnd: (milliseconds: number) => void) {
  let present: { milliseconds: number; end: () => void } | undefined;
  let arrived: ((milliseconds: number) => void) | undefined;
  return {
    pause: (milliseconds: number, signal: AbortSignal) =>
      new Promise<void>((resolve) => {
        if (signal.aborted) return resolve();
        const end = () => {
          signal.removeEventListener("abort", end);
          resolve();
        };
        signal.addEventListener("abort", end, { once: true });
        present = { milliseconds, end };
        arrived?.(milliseconds);
        arrived = undefined;
      }),
    peek: () =>
      new Promise<number>((resolve) => {
        arrived = resolve;
      }),
    next: () => {
      const ended = present;
      present = undefined;
      if (ended) onEnd(ended.milliseconds);
      return new Promise<number>((resolve) => {
        arrived = resolve;
        ended?.end();
      });
    },
  };
}

function bob(directory: string, endpoint: string) {
  return {
    directory,
    name: "bob",
    address: "bob@testorg.aimaestro.local",
    otherAddresses: [],
    tenant: "testorg",
    agentId: undefined,
    apiKey: KEY,
    endpoint,
    providerName: "testorg.aimaestro.local",
    registeredAt: undefined,
    hasPrivateKey: true,
    hasLostFields: false,
  };
}
