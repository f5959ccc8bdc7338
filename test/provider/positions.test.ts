import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Positions } from "../../src/provider/positions.ts";

describe("the files of a queue", () => {
  it("reach each reader once and in one order, however they come and go", async () => {
    const step = fc.oneof(
      fc.record({ add: fc.integer({ min: 0, max: 9 }) }),
      fc.record({ remove: fc.nat() }),
      fc.record({ reader: fc.integer({ min: 0, max: 2 }), limit: fc.integer({ min: 1, max: 4 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const present: string[] = [];
        const positions = new Positions(async () => [...present]);
        const readers = [0, 1, 2].map(() => ({ cursor: positions.cursor(0), seen: new Set<string>() }));
        const read = async ({ cursor, seen }: { cursor: string; seen: Set<string> }, limit: number) => {
          const start = positions.position(cursor);
          const page = (await positions.look()).filter(({ position }) => position > start).slice(0, limit);
          for (const { file } of page) {
            expect(seen.has(file)).toBe(false);
            seen.add(file);
          }
          return positions.cursor(page.at(-1)?.position ?? start);
        };
        for (const [index, next] of steps.entries()) {
          // A place is often the same as another's, or before it.
          if ("add" in next) present.push(`${next.add}_${index}`);
          else if ("remove" in next) present.splice(next.remove % Math.max(1, present.length), 1);
          else {
            const reader = readers[next.reader];
            if (reader) reader.cursor = await read(reader, next.limit);
          }
        }
        for (const reader of readers) {
          await read(reader, present.length + 1);
          expect([...reader.seen]).toEqual(expect.arrayContaining(present));
        }
      }),
    );
  });

  it("are listed after whoever asked had asked, with one look for all who ask meanwhile", async () => {
    const present = ["1_a"];
    const finish: (() => void)[] = [];
    const positions = new Positions(() => {
      const seen = [...present];
      return new Promise((resolve) => finish.push(() => resolve(seen)));
    });
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const first = positions.look();
    await turn();
    present.push("2_b");
    const later = [positions.look(), positions.look()];
    await turn();
    expect(finish).toHaveLength(1);
    finish[0]?.();
    expect((await first).map(({ file }) => file)).toEqual(["1_a"]);
    await turn();
    finish[1]?.();
    for (const look of later) expect((await look).map(({ file }) => file)).toEqual(["1_a", "2_b"]);
    expect(finish).toHaveLength(2);
  });

  it("can be listed again after the directory could not be read", async () => {
    let isBroken = true;
    const positions = new Positions(async () => {
      if (isBroken) throw new Error("broken");
      return ["1_a"];
    });
    await expect(positions.look()).rejects.toThrow("broken");
    isBroken = false;
    expect(await positions.look()).toEqual([{ file: "1_a", position: 1 }]);
  });
});
