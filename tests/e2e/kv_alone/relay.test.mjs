// The relay once more, over KV alone.
import '../support/kv_alone.mjs';
import '../relay.test.mjs';
