// The vectors once more, over KV alone.
import '../support/kv_alone.mjs';
import '../vectors.test.mjs';
