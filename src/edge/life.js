// Whether the module's instance lives: it dies by a panic, whose traces would be in its memory.

/** What the `worker` crate knows of it. */
export const life = () => globalThis.__worker_init_state;

/** Stays so if a call never comes back: where the runtime cuts one off, nothing is unwound. */
let isInside = false;

/** Whether the instance must not be called any more. */
export const isDead = () => isInside || life().criticalError;

/** Calls what belongs to the instance, and sees whether it lives. */
export function alive(call, ...given) {
  isInside = true;
  try {
    return call(...given);
  } catch (error) {
    // Nothing else is ever thrown out of it.
    console.error('Critical', error);
    life().criticalError = true;
    throw error;
  } finally {
    isInside = false;
  }
}
