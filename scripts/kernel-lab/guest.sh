# shellcheck shell=bash disable=SC2154,SC2034
# Runs a command in a guest, User Mode Linux or QEMU; sourced by scripts/lab. A run has a directory that
# host and guest share (init.c lists its files); the guest itself is started by uml.sh or qemu.sh.

# The guest mounts over these directories, and its kernel's arguments are words.
can_be_shared() { case $1/ in /run/* | /dev/* | /proc/* | /sys/* | *[[:space:]\"]*) return 1 ;; esac; }

check_paths() {
  local path cannot="below /run, /dev, /proc or /sys, or with a space in its name"
  temporary=${TMPDIR:-/tmp}; can_be_shared "$temporary" || temporary=/tmp
  for path in ${writable[@]+"${writable[@]}"}; do
    can_be_shared "$path" || fail "--write does not take a directory $cannot: $path"
  done
  for path in "$lab_kernel" "$lab_init"; do
    can_be_shared "$path" || fail "the guest cannot use a file $cannot: $path"
  done
}

stop_guest() { [ -z "$guest" ] || { kill "$guest"; wait "$guest"; end_leftovers "$guest"; } 2>/dev/null; exit "$1"; }

# The name of the run directory has our process id, so that a later run finds and removes what a killed run left.
make_run_directory() {
  local directory owner
  for directory in "$temporary"/kube-ipvs-lab.*; do
    owner=${directory##*/kube-ipvs-lab.}; owner=${owner%%.*}
    [ ! -O "$directory" ] || [ -e "/proc/$owner" ] || rm -rf "$directory"
  done
  run=$(mktemp -d "$temporary/kube-ipvs-lab.$$.XXXXXX") || exit 125
  guest=
  trap 'rm -rf "$run"' EXIT
  trap 'stop_guest 130' INT
  trap 'stop_guest 143' TERM
  trap 'stop_guest 129' HUP
}

quote() { quoted=; local word; for word; do quoted+=" '${word//\'/$quoted_quote}'"; done; }
quoted_quote="'\\''"

# What the guest's init runs: our directory, our environment, then the command.
write_command() { # COMMAND...
  local variable
  quote "$PWD"; printf 'cd%s || exit 126\n' "$quoted"
  while IFS= read -r -d '' variable; do
    case ${variable%%=*} in
      '' | *[!A-Za-z0-9_]* | [0-9]* | PWD | OLDPWD | SHLVL | _ | KUBE_IPVS_LAB) ;;
      NODE_TEST_CONTEXT | NODE_CHANNEL_* | NODE_UNIQUE_ID | NOTIFY_SOCKET | LISTEN_* | SSH_AUTH_SOCK) ;;
      *) quote "${variable#*=}"; printf 'export %s=%s\n' "${variable%%=*}" "${quoted# }" ;;
    esac
  done < <(env -0)
  case $kernel in qemu*) quote qemu ;; *) quote "$kernel" ;; esac
  printf 'export KUBE_IPVS_LAB=%s\n' "${quoted# }"
  quote "$@"; printf 'exec%s\n' "$quoted"
}

run_in_guest() { # COMMAND...
  [ -d "$lab_modules" ] || lab_modules=
  check_paths
  make_run_directory
  write_command "$@" >"$run/command"
  printf '%s\n' ${writable[@]+"${writable[@]}"} >"$run/writable"
  exec {kernel_log}>>"$run/log"
  [ -z "$stdin" ] || cat >"$run/stdin"
  terminal_size=
  if [ -n "$terminal" ]; then
    saved_terminal=$(stty -g) terminal_size=$(stty size) terminal_size=${terminal_size/ /x}
  fi
  started=$SECONDS cats=()
  "start_$machine_type" # sets guest and cats
  # A `cat` that fails has lost its reader, as in `scripts/lab -- yes | head`. It succeeds only after the end of the guest.
  { wait -n -p first "$guest" "${cats[@]}" || [ "$first" = "$guest" ] || stop_guest 141; } 2>/dev/null
  { wait "$guest"; ended=$?; } 2>/dev/null # without the shell's own words on a guest that aborted
  local ended_guest=$guest
  guest=
  end_leftovers "$ended_guest"
  [ -z "$terminal" ] || stty "$saved_terminal"
  wait "${cats[@]}"
  report_end
}

# A helper process of User Mode Linux can outlive it (seen waiting for a lock). It keeps our pipes open, so a `cat` would wait
# forever. It is in the process group that `timeout` made; with --terminal there is none, and it is found by its command line,
# which is that of the guest and names our run directory.
end_leftovers() { # PID of the guest
  local file
  kill -KILL -- "-$1" 2>/dev/null
  for file in $(grep -slFzx "uml_dir=$run" /proc/[0-9]*/cmdline); do
    file=${file#/proc/}
    kill -KILL "${file%/cmdline}" 2>/dev/null
  done
}

# limited COMMAND...: ends the guest also if this script is killed. Started in the background, so that our traps run at once.
limited() {
  exec setpriv --pdeathsig TERM timeout ${terminal:+--foreground} -k 3 "$timeout" \
    setpriv --pdeathsig KILL ${pin[@]+"${pin[@]}"} "$@"
}

timed_out() { [ "$ended" = 124 ] || { [ "$ended" = 137 ] && [ $((SECONDS - started)) -ge "${timeout%%[!0-9]*}" ]; }; }

report_end() {
  local status=125
  if [ -s "$run/status" ]; then
    status=$(<"$run/status")
  elif timed_out; then
    status=124
    if [ -e "$run/started" ]; then
      printf 'lab: ended after %s seconds (--timeout)\n' "$timeout" >&2
    else
      printf 'lab: the kernel "%s" did not start the command within %s seconds (--timeout)\n' "$kernel" "$timeout" >&2
    fi
  elif [ -e "$run/started" ]; then
    log=1
    printf 'lab: the guest did not come to an end; its kernel log:\n' >&2
  else
    printf 'lab: %s\n' "$(boot_failure "$run/log" "$kernel")" >&2
  fi
  [ -z "$log" ] || sed 's/^/lab: | /; s/\r$//' "$run/log" >&2
  exit "$status"
}
