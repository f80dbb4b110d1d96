// Texts into the module.
const encoder = new TextEncoder();

/** Writes a text into memory of the module's, as UTF-8. Gives the number of bytes, or nothing if there is no room. */
export function write(text, memory) {
  const { read, written } = encoder.encodeInto(text, memory);
  if (read === text.length) return written;
}
