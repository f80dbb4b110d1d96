// Durable Objects, in one crossing a call between the module and JavaScript.

/** Says something to the object of that name: its answer, or the status of one that has none. */
export async function ask(namespace, name, url) {
  const { status, headers } = await namespace.getByName(name).fetch(url);
  return headers.get('answer') ?? status;
}

/** An object's answer; a status alone if it has none. */
export const answer = (text, status) => new Response(null, text === undefined ? { status } : { headers: { answer: text } });

/** Runs a statement: its rows as lines. */
export const lines = (sql, statement) => sql.exec(statement).raw().toArray().join('\n');

/** Runs a statement: its rows, each a list of values. */
export const run = (sql, statement, values) => sql.exec(statement, ...values).raw().toArray();
