// What the kernel says about workerd.
import { readFileSync, readdirSync } from 'node:fs';

/** The process id of our own workerd. */
export function pidOfWorkerd() {
  const isIt = (pid) => {
    try {
      // pid (name) state parent …
      const [, name, parent] = readFileSync(`/proc/${pid}/stat`, 'latin1').match(/\((.*)\) \S (\d+)/s);
      return name === 'workerd' && Number(parent) === process.pid;
    } catch {
      return false; // it has ended
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .find(isIt);
}

/** Its resident memory, in MB. */
export const memoryOf = (pid) =>
  Number(readFileSync(`/proc/${pid}/status`, 'latin1').match(/VmRSS:\s+(\d+) kB/)[1]) / 1024;

/** How many files and sockets it has open. */
export const filesOf = (pid) => readdirSync(`/proc/${pid}/fd`).length;
