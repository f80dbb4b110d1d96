// In place of the entry that worker-build makes, which puts a class and three proxies around every request.
import { fetch } from './module.js';

export default { fetch };
