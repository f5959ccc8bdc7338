import { type KeyPair, keyPairFromPem, parsePublicKey } from "../wire/keys.ts";
import { CONFIG_FILE_MAX_BYTES } from "../wire/limits.ts";
import type { Disk } from "./disk.ts";
import { privateKeyFile, publicKeyFile } from "./profile.ts";

/** The agent's key pair; `undefined` where there is no private key, or none that can be read as Ed25519. */
export async function readKeyPair(disk: Disk, directory: string): Promise<KeyPair | undefined> {
  const pem = await disk.read(privateKeyFile(directory), CONFIG_FILE_MAX_BYTES);
  return pem === undefined ? undefined : keyPairFromPem(pem);
}

/** The public half alone, from `public.pem` or, where that is missing, from the private key. */
export async function readPublicKey(disk: Disk, directory: string): Promise<Uint8Array | undefined> {
  const pem = await disk.read(publicKeyFile(directory), CONFIG_FILE_MAX_BYTES);
  return (pem === undefined ? undefined : parsePublicKey(pem)) ?? (await readKeyPair(disk, directory))?.publicKey;
}
