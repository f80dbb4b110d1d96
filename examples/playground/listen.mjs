import { once } from 'node:events';
import { createServer } from 'node:net';

/** Serves `app` on a loopback port; gives a function that stops it. */
export async function listen(app, port) {
  const server = app.listen(port, '127.0.0.1');
  await listening(server, port);
  return async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
}

/** Says so if a port is taken that somebody else will want to listen on. */
export async function assertFree(port) {
  const server = createServer().listen(port, '127.0.0.1');
  await listening(server, port);
  server.close();
  await once(server, 'close');
}

async function listening(server, port) {
  await once(server, 'listening').catch((error) => {
    throw error.code === 'EADDRINUSE'
      ? new Error(`Port ${port} is in use. Please stop what runs there and try again.`)
      : error;
  });
}
