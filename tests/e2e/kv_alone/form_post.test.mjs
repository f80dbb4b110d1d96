// Posted ID tokens once more, over KV alone.
import '../support/kv_alone.mjs';
import '../form_post.test.mjs';
