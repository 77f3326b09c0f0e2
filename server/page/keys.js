// The user's Ed25519 key: made, kept and restored in this browser. Only this module sees it.
//
// The key that signs is kept in IndexedDB as not exportable. Its seed is kept beside it, sealed by
// another key that is not exportable either: it is opened for a recovery file alone, when the user asks
// for one.
//
// A recovery file is one line, `chorus-ed25519-seed:` and the base58check of the seed: the same
// file that `chorus chat` keeps, so one user can be the same in both.

import { decodeBase58, encodeBase58 } from "./base58.js";
import { say } from "./language.js";

const ALGORITHM = { name: "Ed25519" };
const SEALING = { name: "AES-GCM" };
const PREFIX = "chorus-ed25519-seed:";
/** What a recovery file is called. */
export const RECOVERY_FILE = "chorus-recovery.key";

const SEED_BYTES = 32;
const CHECK_BYTES = 4;
const DATABASE = "chorus";
const STORE = "keys";
const OWN = "own";

// What stands before the seed in PKCS #8 (RFC 8410); the seed ends it.
const PKCS8_HEAD = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
]);

/** A sentence for the user; what went wrong with a key or its file. */
export class KeyProblem extends Error {}

/** Why this browser cannot hold a key, in plain words; null where it can. */
export async function whyUnsupported() {
  if (!window.isSecureContext || !globalThis.crypto?.subtle) {
    return say.keys.notSecure;
  }
  if (!globalThis.indexedDB) return say.keys.noDatabase;
  try {
    await generatePair(false);
    return null;
  } catch {
    return say.keys.noAlgorithm;
  }
}

/**
 * @typedef {object} Sealed a seed under a key that cannot be exported
 * @property {CryptoKey} key
 * @property {Uint8Array<ArrayBuffer>} iv
 * @property {ArrayBuffer} data
 */

/** @typedef {{publicKey: string, privateKey: CryptoKey, sealed?: Sealed}} Kept what `keep` puts */

/** The identity that this browser keeps; null where there is none yet. */
export async function loadIdentity() {
  const kept = await readKept();
  return kept ? new Identity(kept.publicKey, kept.privateKey) : null;
}

/** Make a key and keep it. */
export async function createIdentity() {
  const pair = await generatePair(true);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const seed = pkcs8.slice(-SEED_BYTES);
  pkcs8.fill(0);
  return keep(await spell(pair.publicKey), seed);
}

/** The text of the recovery file of the key that is kept. Throws a KeyProblem. */
export async function recoveryText() {
  const kept = await readKept();
  if (!kept?.sealed) {
    throw new KeyProblem(say.keys.noSeed);
  }
  const { key, iv, data } = kept.sealed;
  const seed = new Uint8Array(await crypto.subtle.decrypt({ ...SEALING, iv }, key, data));
  const text = `${PREFIX}${encodeBase58(await withCheck(seed))}\n`;
  seed.fill(0);
  return text;
}

/**
 * Take the key of a recovery file in place of the one that is kept. Throws a KeyProblem.
 *
 * @param {string} fileText
 */
export async function restoreIdentity(fileText) {
  const seed = await seedOf(fileText.trim());
  const readable = await importSeed(seed, true);
  const { x = "" } = await crypto.subtle.exportKey("jwk", readable); // of a key like this always
  return keep(encodeBase58(fromBase64Url(x)), seed);
}

/** Forget the key in this browser; without a recovery file it is gone for good. */
export async function forgetIdentity() {
  await inStore("readwrite", (store) => store.delete(OWN));
}

/** A user: a public name, and the power to sign with it. */
export class Identity {
  #privateKey;

  /**
   * @param {string} publicKey
   * @param {CryptoKey} privateKey
   */
  constructor(publicKey, privateKey) {
    /** Base58 of the 32 bytes of the public key. */
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  /**
   * Base58 of the signature of a text as UTF-8.
   *
   * @param {string} statement
   */
  async sign(statement) {
    const bytes = new TextEncoder().encode(statement);
    const signature = await crypto.subtle.sign(ALGORITHM, this.#privateKey, bytes);
    return encodeBase58(new Uint8Array(signature));
  }
}

/** @param {boolean} extractable */
async function generatePair(extractable) {
  const made = await crypto.subtle.generateKey(ALGORITHM, extractable, ["sign", "verify"]);
  // Of an algorithm that signs it is always a pair; only its name tells the types so.
  return /** @type {CryptoKeyPair} */ (made);
}

/**
 * Keep a key in place of the one that is kept; its seed is wiped here.
 *
 * @param {string} publicKey
 * @param {Uint8Array<ArrayBuffer>} seed
 */
async function keep(publicKey, seed) {
  const privateKey = await importSeed(seed, false);
  const key = await crypto.subtle.generateKey({ ...SEALING, length: 256 }, false, [
    "encrypt",
    "decrypt",
  ]);
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const data = await crypto.subtle.encrypt({ ...SEALING, iv }, key, seed);
  seed.fill(0);
  /** @type {Kept} */
  const kept = { publicKey, privateKey, sealed: { key, iv, data } };
  await inStore("readwrite", (store) => store.put(kept, OWN));
  return new Identity(publicKey, privateKey);
}

/** @returns {Promise<Kept | undefined>} */
function readKept() {
  return inStore("readonly", (store) => store.get(OWN));
}

/** @param {CryptoKey} publicKey */
async function spell(publicKey) {
  return encodeBase58(new Uint8Array(await crypto.subtle.exportKey("raw", publicKey)));
}

/**
 * @param {Uint8Array} seed
 * @param {boolean} extractable
 */
function importSeed(seed, extractable) {
  const pkcs8 = new Uint8Array([...PKCS8_HEAD, ...seed]);
  return crypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, extractable, ["sign"]);
}

/** @param {string} line */
async function seedOf(line) {
  if (!line.startsWith(PREFIX)) {
    throw new KeyProblem(say.keys.notARecoveryFile);
  }
  let bytes;
  try {
    bytes = decodeBase58(line.slice(PREFIX.length));
  } catch {
    throw new KeyProblem(say.keys.badCharacter);
  }
  const seed = bytes.slice(0, -CHECK_BYTES);
  const whole = seed.length === SEED_BYTES ? await withCheck(seed) : new Uint8Array();
  if (whole.length !== bytes.length || !whole.every((byte, place) => byte === bytes[place])) {
    throw new KeyProblem(say.keys.badCheck);
  }
  return seed;
}

/**
 * Bytes and the first four of their double SHA-256: base58check.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
async function withCheck(bytes) {
  const once = await crypto.subtle.digest("SHA-256", bytes);
  const twice = new Uint8Array(await crypto.subtle.digest("SHA-256", once));
  return new Uint8Array([...bytes, ...twice.slice(0, CHECK_BYTES)]);
}

/** @param {string} text */
function fromBase64Url(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/**
 * Run one request on the key store, and give its result once it is on disk.
 *
 * @template Result
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<Result>} ask
 * @returns {Promise<Result>}
 */
function inStore(mode, ask) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onerror = () => reject(new KeyProblem(say.keys.notAllowed));
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction(STORE, mode);
      const asked = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => {
        database.close();
        resolve(asked.result);
      };
      transaction.onabort = () => {
        database.close();
        reject(new KeyProblem(say.keys.notKept));
      };
    };
  });
}
