import { expect, it } from "vitest";
import { didKey } from "../../src/wire/did.ts";

it.each([
  [
    "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
    "z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX",
  ],
  [
    "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394",
    "z6Mko9hTggMwjSTEaJaPUfE6tqcy2xvU6BnNq3e3o8qVBiyH",
  ],
])("names the key %s as AI Maestro does", (hex, name) => {
  expect(didKey(Buffer.from(hex, "hex"))).toBe(`did:key:${name}`);
});
