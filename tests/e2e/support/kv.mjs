/** What a logout leaves for the cron trigger to go over. */
export const isPending = (key) => key.startsWith('pending/');

async function* keysOf(kv, options) {
  let cursor;
  do {
    const page = await kv.list({ ...options, cursor });
    yield* page.keys;
    cursor = page.list_complete ? undefined : page.cursor;
  } while (cursor);
}

/** The names in a KV namespace that begin like that. */
export async function kvKeys(kv, prefix) {
  const names = [];
  for await (const { name } of keysOf(kv, { prefix })) names.push(name);
  return names;
}

/** Everything in a KV namespace: name to value, and metadata where there is some. */
export async function kvContents(kv) {
  const contents = {};
  for await (const { name, metadata } of keysOf(kv)) {
    const value = await kv.get(name);
    contents[name] = metadata === undefined ? value : { value, metadata };
  }
  return contents;
}
