// The costs once more, over KV alone.
import '../support/kv_alone.mjs';
import '../costs.test.mjs';
