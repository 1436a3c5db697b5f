// The small program between agent and process. It outlives the agent, knows when the process ends, and writes the exit
// code down, so that an agent which was away learns it exactly.

/**
 * POSIX sh; arguments: the run's folder, then the command. It leads a session and process group of its own.
 *
 * - `pid` is made exclusively, before the command starts: whoever makes it first, this run or a newer agent that gave
 *   it up, wins, so no command starts unnoticed. It holds pid, start time and boot id, which together name one process
 *   for ever.
 * - The traps keep it alive through signals meant for the whole group; the command gets the default actions back. The
 *   command runs in the foreground: a shell then waits through every signal, and one in the background would ignore
 *   INT and QUIT.
 * - `child` lets the driver see when the command has taken the place of the shell: a signal sent earlier could be lost. With
 *   its start time it tells, once the wrapper was killed, that the group is still this run's. $$ is the wrapper's pid even
 *   there, so the pid comes from the kernel.
 * - What the shell itself has to say about the end of the command ("Killed") does not belong into its output.
 * - A full disk takes no line, but mostly one more name: the exit code then is part of that of an empty file.
 * - When the command is over the run is over: the last line ends whatever it left behind in the group, and this.
 *
 * Only builtins are used, because PATH is the manifest's. `true` is one whose failed redirection does not end the shell, as that of
 * `:` would.
 */
export const wrapperScript = `
run=$1
shift
exec 3>&2 2>/dev/null
trap : HUP INT QUIT TERM USR1 USR2
start_time() { shift 19; start=$1; }
set -f
read -r stat < "/proc/$$/stat"
start_time \${stat##*) }
read -r boot < /proc/sys/kernel/random/boot_id
set +f
set -C
{ echo "$$ $start $boot" > "$run/pid"; } || exit 0
set +C
(
  trap - HUP INT QUIT TERM USR1 USR2
  read -r stat < /proc/self/stat
  start_time \${stat##*) }
  echo "\${stat%% *} $start" > "$run/child"
  exec "$@" 2>&3 3>&-
)
code=$?
echo "$code" > "$run/exit" || true > "$run/exit.$code"
kill -KILL 0
`;
