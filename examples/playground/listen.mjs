import { once } from 'node:events';

/** Serves `app` on a loopback port; gives a function that stops it. */
export async function listen(app, port) {
  const server = app.listen(port, '127.0.0.1');
  await once(server, 'listening').catch((error) => {
    throw error.code === 'EADDRINUSE'
      ? new Error(`Port ${port} is in use. Please stop what runs there and try again.`)
      : error;
  });
  return async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
}
