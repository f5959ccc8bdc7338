import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import * as ed25519 from "@noble/ed25519";

/**
 * Ed25519 keys in the forms that AMP uses. A raw key is 32 bytes; the PEM forms are PKCS#8 and SPKI, whose DER is a
 * fixed prefix and the raw key (RFC 8410).
 */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

export interface KeyPair {
  /** 32 bytes. Never printed, never logged. */
  privateKey: Uint8Array;
  /** 32 bytes. */
  publicKey: Uint8Array;
}

export async function generateKeyPair(): Promise<KeyPair> {
  const { secretKey, publicKey } = await ed25519.keygenAsync();
  return { privateKey: secretKey, publicKey };
}

/** 64 bytes over exactly `message`, without a pre-hash. */
export function signBytes(message: Uint8Array, privateKey: Uint8Array): Promise<Uint8Array> {
  return ed25519.signAsync(message, privateKey);
}

/** A verifier's handle on a raw public key, or `undefined` where the bytes are no key. */
export function publicKeyObject(publicKey: Uint8Array): KeyObject | undefined {
  if (publicKey.length !== 32) return undefined;
  try {
    return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
}

export function publicKeyToPem(publicKey: Uint8Array): string {
  return pem("PUBLIC KEY", Buffer.concat([SPKI_PREFIX, publicKey]));
}

export function privateKeyToPem(privateKey: Uint8Array): string {
  return pem("PRIVATE KEY", Buffer.concat([PKCS8_PREFIX, privateKey]));
}

function pem(label: string, der: Buffer): string {
  return `-----BEGIN ${label}-----\n${der.toString("base64")}\n-----END ${label}-----\n`;
}

/** The key pair behind a PKCS#8 PEM, or `undefined` if it holds no Ed25519 private key. */
export function keyPairFromPem(privatePem: string): KeyPair | undefined {
  try {
    const jwk = createPrivateKey(privatePem).export({ format: "jwk" });
    if (jwk.crv !== "Ed25519" || jwk.d === undefined || jwk.x === undefined) return undefined;
    return { privateKey: Buffer.from(jwk.d, "base64url"), publicKey: Buffer.from(jwk.x, "base64url") };
  } catch {
    return undefined;
  }
}

/**
 * A raw public key from any form seen in the wild: 64 hex digits (what providers attach to a message), an SPKI PEM
 * (with or without a last newline, CRLF, literal `\n`), base64 of 32 raw or 44 DER bytes. Anything else, the literal
 * `"verified"` of AI Maestro's web mail among it, is no key.
 */
export function parsePublicKey(text: string): Uint8Array | undefined {
  const trimmed = text.replaceAll("\\n", "\n").trim();
  if (/^[0-9a-f]{64}$/i.test(trimmed)) return Buffer.from(trimmed, "hex");
  const body = /^-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----$/.exec(trimmed);
  return fromBase64(body?.[1] ?? trimmed);
}

function fromBase64(text: string): Uint8Array | undefined {
  const compact = text.replace(/\s/g, "");
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return undefined;
  const bytes = Buffer.from(compact, "base64");
  if (bytes.length === 32) return bytes;
  const isSpki = bytes.length === 44 && bytes.subarray(0, 12).equals(SPKI_PREFIX);
  return isSpki ? bytes.subarray(12) : undefined;
}

/** `SHA256:` and the base64 of the hash of the raw key: the form of the guide's scripts and of every provider. */
export function fingerprint(publicKey: Uint8Array): string {
  return `SHA256:${createHash("sha256").update(publicKey).digest("base64")}`;
}

/** The same words over the DER form: the plugin's scripts write this one. Only ever compared with. */
export function derFingerprint(publicKey: Uint8Array): string {
  return fingerprint(Buffer.concat([SPKI_PREFIX, publicKey]));
}

export function sameKey(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a).equals(b);
}
