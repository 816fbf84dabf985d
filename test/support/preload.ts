/**
 * Before every test file. To kill process 0 is to kill oneself with all that one has started, the run of the tests among it, without a
 * word; and 0 is the pid of a container that does not run.
 */
const kill = process.kill.bind(process);
process.kill = (pid, signal) => {
  if (pid > 1) return kill(pid, signal);
  throw new Error(`there is no process to signal: ${pid}`);
};
