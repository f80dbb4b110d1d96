// The gate once more, over KV alone.
import '../support/kv_alone.mjs';
import '../gate.test.mjs';
