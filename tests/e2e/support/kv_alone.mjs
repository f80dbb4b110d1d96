// Imported before a suite: it runs over KV alone.
process.env.EDGE_LOGOUT_MODE = 'kv';
