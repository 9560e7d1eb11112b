# shellcheck shell=bash disable=SC2154,SC2034
# Starts a User Mode Linux guest; sourced by scripts/lab.

# The guest's memory is a sparse file: in /dev/shm if that is large enough and not noexec (as it is in
# containers), else in the run directory.
memory_directory() {
  local wanted=${memory%[kKmMgG]} mount_point options blocks block_size
  case $memory in
    *[gG]) wanted=$((wanted << 30)) ;; *[mM]) wanted=$((wanted << 20)) ;; *[kK]) wanted=$((wanted << 10)) ;;
  esac
  while read -r _ mount_point _ options _; do
    [ "$mount_point" = /dev/shm ] || continue
    case ,$options, in *,noexec,* | *,ro,*) break ;; esac
    read -r blocks block_size < <(stat -f -c '%a %S' /dev/shm)
    [ $((blocks * block_size)) -lt "$wanted" ] || { echo /dev/shm; return; }
    break
  done </proc/mounts
  echo "$run"
}

# Sets `cpus` to the processors that we may run on.
allowed_cpus() {
  local key allowed part number
  cpus=()
  while read -r key allowed; do [ "$key" != Cpus_allowed_list: ] || break; done </proc/self/status
  for part in ${allowed//,/ }; do
    for ((number = ${part%-*}; number <= ${part#*-}; number++)); do cpus+=("$number"); done
  done
}

# Takes the CPU with the fewest guests: each place on it is a lock, which the guest inherits and holds.
take_cpu() {
  local number place cpus
  allowed_cpus
  mkdir -p "$lab_cache/cpu"
  for place in {1..20}; do
    for number in "${cpus[@]}"; do
      exec {held_place}>"$lab_cache/cpu/$number.$place"
      flock -n "$held_place" && { cpu=$number; return; }
      exec {held_place}>&-
    done
  done
  cpu=any
}

start_uml() {
  local in out err console guest_stdout
  [ -n "$memory" ] || memory=512M
  [ "$cpu" != auto ] || take_cpu
  pin=(); [ "$cpu" = any ] || pin=(taskset -c "$cpu")

  # The guest makes its descriptors non-blocking, so a `cat` stands between it and our own.
  mkfifo "$run/out" "$run/err"
  cat "$run/err" >&2 & cats=($!)
  exec {err}>"$run/err"
  if [ -n "$terminal" ]; then
    exec {in}<&0 {out}>&1
    console=con1=fd:0,fd:1 guest_stdout=$out
  else
    cat "$run/out" & cats+=($!)
    exec {in}</dev/null {out}>"$run/out"
    console=con1=null,fd:$out guest_stdout=$kernel_log
  fi

  TMPDIR=$(memory_directory) limited \
    "$lab_kernel" mem="$memory" root=none rootfstype=hostfs rootflags=/ rw init="$lab_init" \
    umid="lab$$" uml_dir="$run" con=null ssl=null con0=null,fd:"$kernel_log" "$console" con2=null,fd:"$err" \
    seccomp=auto dummy.numdummies=0 fb_tunnels=none quiet ${arguments[@]+"${arguments[@]}"} \
    LAB_RUN="$run" LAB_MODULES="$lab_modules" LAB_STDIN="$stdin" LAB_TERMINAL="$terminal_size" \
    <&"$in" >&"$guest_stdout" 2>&"$kernel_log" &
  guest=$!
  exec {out}>&- {err}>&-
}
