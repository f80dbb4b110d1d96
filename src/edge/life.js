// Whether the module's instance lives: it dies by a panic, whose traces would be in its memory. Evaluated
// before the module, which takes `queueMicrotask` as it finds it.

/** What the `worker` crate knows of it. */
export const life = () => globalThis.__worker_init_state;

/** Calls what belongs to the instance, and sees whether it lives. */
export function alive(call) {
  try {
    return call();
  } catch (error) {
    // Nothing else is ever thrown out of it.
    console.error('Critical', error);
    life().criticalError = true;
    throw error;
  }
}

// By which the module goes on with its work. workerd's own is native code, a fifth of what a request takes
// that is refused; a promise's reaction is not.
const turn = Promise.resolve();
globalThis.queueMicrotask = (work) => {
  const { instanceId } = life();
  // Work of one that has died is nobody's: what it throws must not look like the death of the next.
  turn.then(() => instanceId === life().instanceId && alive(work));
};
