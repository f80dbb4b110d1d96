// Workers KV, in texts: what the module says and hears in one crossing each.

/** The values of keys, a line each; null for those that are not there. */
export function getMany(kv, lines, cacheTtl) {
  const keys = lines.split('\n');
  // The one of a single key comes without JSON around it.
  if (keys.length === 1) return kv.get(lines, { cacheTtl }).then((value) => [value]);
  return kv.get(keys, { cacheTtl }).then((values) => keys.map((key) => values.get(key)));
}

/** `metadata` is JSON, if there is some. */
export const put = (kv, key, value, expirationTtl, metadata) =>
  kv.put(key, value, { expirationTtl, metadata: metadata && JSON.parse(metadata) });

/** Deletions of pairs of keys: of each the one, and when that is gone the other; so many pairs at a time. */
export class Deletions {
  #keys;
  #next = 0;
  #failed = false;

  /** `lines` are keys, a line each. */
  constructor(kv, lines, atOnce) {
    this.#keys = lines.split('\n');
    const workers = Math.min(atOnce, this.#keys.length / 2);
    this.done = Promise.all(Array.from({ length: workers }, () => this.#work(kv))).then(() => {
      if (this.#failed) throw new Error('not all are deleted');
    });
  }

  async #work(kv) {
    while (this.#next < this.#keys.length) {
      const [first, last] = [this.#keys[this.#next++], this.#keys[this.#next++]];
      try {
        await kv.delete(first);
        await kv.delete(last);
      } catch {
        this.#failed = true;
      }
    }
  }

  /** Begins none any more. */
  stop() {
    this.#next = this.#keys.length;
  }
}

/** As JSON: pairs of keys and metadata, and where the next page begins, if there is one. */
export async function list(kv, prefix, cursor) {
  const page = await kv.list({ prefix, cursor });
  const keys = page.keys.map(({ name, metadata }) => [name, metadata]);
  return JSON.stringify([keys, page.list_complete ? null : page.cursor]);
}
