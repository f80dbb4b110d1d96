// Whether the module's instance lives: it dies by a panic, whose traces would be in its memory.

/** What the `worker` crate knows of it. */
export const life = () => globalThis.__worker_init_state;

/** Stays so if a call never comes back: where the runtime cuts one off, nothing is unwound. */
let atWork;

/** The work of the call that the instance is in. */
export const workNow = () => atWork;

/** Whether the instance must not be called any more. */
export const isDead = () => atWork !== undefined || life().criticalError;

/** Calls what belongs to the instance, for some work, and sees whether it lives. */
export function alive(work, call, ...given) {
  atWork = work;
  try {
    return call(...given);
  } catch (error) {
    // Nothing else is ever thrown out of it.
    console.error('Critical', error);
    life().criticalError = true;
    throw error;
  } finally {
    atWork = undefined;
  }
}
