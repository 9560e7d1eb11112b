# shellcheck shell=bash disable=SC2154
# Runs a command on this machine's own kernel; sourced by scripts/lab.

run_on_host() { # COMMAND...
  [ "$EUID" = 0 ] || fail "cannot use the host's kernel without root: run it as root"
  [ ${#arguments[@]} = 0 ] || fail "the host's kernel takes no arguments"
  # A process namespace, so that nothing is left running; a new /run, as `ip netns` keeps names there.
  # shellcheck disable=SC2016
  set -- setpriv --pdeathsig KILL unshare --net --mount --pid --fork --kill-child --mount-proc sh -c '
    mount -t tmpfs -o mode=755 tmpfs /run && mount -t sysfs sysfs /sys && ip link set lo up || exit 125
    "$@"; exit $?' lab "$@"
  unset NODE_TEST_CONTEXT; export KUBE_IPVS_LAB=host
  [ -n "$stdin$terminal" ] || exec </dev/null
  exec timeout ${terminal:+--foreground} -k 3 "$timeout" "$@"
}
