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

/** Deletes a key, and when it is gone another. */
export const deleteInTurn = (kv, first, last) => kv.delete(first).then(() => kv.delete(last));

/** As JSON: pairs of keys and metadata, and where the next page begins, if there is one. */
export async function list(kv, prefix, cursor) {
  const page = await kv.list({ prefix, cursor });
  const keys = page.keys.map(({ name, metadata }) => [name, metadata]);
  return JSON.stringify([keys, page.list_complete ? null : page.cursor]);
}
