/** What a logout leaves for the cron trigger to go over. */
export const isPending = (key) => key.startsWith('pending/');

/** Everything in a KV namespace: name to value, and metadata where there is some. */
export async function kvContents(kv) {
  const contents = {};
  let cursor;
  do {
    const page = await kv.list({ cursor });
    for (const { name, metadata } of page.keys) {
      const value = await kv.get(name);
      contents[name] = metadata === undefined ? value : { value, metadata };
    }
    cursor = page.list_complete ? undefined : page.cursor;
  } while (cursor);
  return contents;
}
