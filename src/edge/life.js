// Whether the module's instance lives: it dies by a panic, whose traces would be in its memory.

/** What the `worker` crate knows of it. */
export const life = () => globalThis.__worker_init_state;

/** Calls what belongs to the instance, and sees whether it lives. */
export function alive(call, ...given) {
  try {
    return call(...given);
  } catch (error) {
    // Nothing else is ever thrown out of it.
    console.error('Critical', error);
    life().criticalError = true;
    throw error;
  }
}
