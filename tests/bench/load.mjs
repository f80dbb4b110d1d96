// Load over HTTP/1.1, by undici: as many requests at a time as there are connections.
import { Client } from 'undici';

/** One request; resolves to status, headers and the number of bytes of the body. */
export function send(client, { method = 'GET', path, headers, body }) {
  return new Promise((resolve, reject) => {
    const answer = { bytes: 0 };
    client.dispatch(
      { method, path, headers: { host: 'app.test', ...headers }, body },
      {
        onRequestStart() {},
        onResponseStart(_, status, head) {
          answer.status = status;
          answer.headers = head;
        },
        onResponseData(_, chunk) {
          answer.bytes += chunk.length;
        },
        onResponseEnd: () => resolve(answer),
        onResponseError: (_, error) => reject(error),
      },
    );
  });
}

/**
 * Sends all of them, `atOnce` at a time, and has `check` look at each answer. Gives the seconds that it
 * took, and the milliseconds of each.
 */
export async function sendAll(url, requests, { atOnce, check }) {
  const clients = Array.from({ length: atOnce }, () => new Client(url));
  try {
    const milliseconds = [];
    let next = 0;
    const one = async (client) => {
      while (next < requests.length) {
        const number = next++;
        const started = performance.now();
        const answer = await send(client, requests[number]);
        milliseconds.push(performance.now() - started);
        check(answer, number);
      }
    };
    const started = performance.now();
    await Promise.all(clients.map(one));
    return { seconds: (performance.now() - started) / 1000, milliseconds };
  } finally {
    await Promise.all(clients.map((client) => client.destroy()));
  }
}
