// Prints the size of the uploaded bundle, gzipped, and fails above the limit.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const limit = Number(process.argv[2]);
const size = ['build/index.js', 'build/index_bg.wasm']
  .map((file) => gzipSync(readFileSync(file)).length)
  .reduce((sum, bytes) => sum + bytes);
console.log(`bundle: ${size} bytes gzipped of ${limit} allowed`);
if (!(size <= limit)) process.exit(1);
