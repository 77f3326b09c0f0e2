// Base58 (Bitcoin's alphabet), the spelling of keys and signatures on the wire. Pure.

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const VALUES = new Map([...ALPHABET].map((character, value) => [character, value]));

/**
 * Base58 of bytes; each leading zero byte is a leading `1`.
 *
 * @param {Uint8Array} bytes
 * @returns {string}
 */
export function encodeBase58(bytes) {
  let zeros = 0;
  while (zeros < bytes.length && bytes[zeros] === 0) zeros += 1;
  /** @type {number[]} the least first */
  const digits = [];
  for (const byte of bytes) {
    let carry = byte;
    for (let place = 0; place < digits.length; place += 1) {
      carry += (digits[place] ?? 0) * 256;
      digits[place] = carry % 58;
      carry = Math.floor(carry / 58);
    }
    for (; carry > 0; carry = Math.floor(carry / 58)) digits.push(carry % 58);
  }
  const body = digits.reverse().map((digit) => ALPHABET[digit]);
  return "1".repeat(zeros) + body.join("");
}

/**
 * The bytes that a base58 text spells; throws a RangeError where a character is none of it.
 *
 * @param {string} text
 */
export function decodeBase58(text) {
  /** @type {number[]} the least first */
  const bytes = [];
  for (const character of text) {
    let carry = VALUES.get(character);
    if (carry === undefined) throw new RangeError("not base58");
    for (let place = 0; place < bytes.length; place += 1) {
      carry += (bytes[place] ?? 0) * 58;
      bytes[place] = carry & 0xff;
      carry >>= 8;
    }
    for (; carry > 0; carry >>= 8) bytes.push(carry & 0xff);
  }
  const zeros = text.length - text.replace(/^1+/, "").length;
  return new Uint8Array([...new Array(zeros).fill(0), ...bytes.reverse()]);
}
