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

/** Deletes pairs of keys, a line each: of each pair the one, and when that is gone the other; so many at a time. */
export async function deletePairs(kv, lines, atOnce) {
  const keys = lines.split('\n');
  let next = 0;
  let isFailed = false;
  const deleteSome = async () => {
    while (next < keys.length) {
      const [first, last] = [keys[next++], keys[next++]];
      try {
        await kv.delete(first);
        await kv.delete(last);
      } catch {
        isFailed = true;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, keys.length / 2) }, deleteSome));
  if (isFailed) throw new Error('not all of them');
}

/** As JSON: pairs of keys and metadata, and where the next page begins, if there is one. */
export async function list(kv, prefix, cursor) {
  const page = await kv.list({ prefix, cursor });
  const keys = page.keys.map(({ name, metadata }) => [name, metadata]);
  return JSON.stringify([keys, page.list_complete ? null : page.cursor]);
}
