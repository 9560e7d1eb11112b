# shellcheck shell=bash disable=SC2154,SC2034
# Chooses the kernel; sourced by scripts/lab. The lab relies on a kernel only after it has booted `true` once. The cache keeps
# the result for this processor, this host kernel and that kernel.

# How long a kernel may take to boot `true`. Emulated, it takes 5 s of processor time.
uml_limit=30 kvm_limit=15 tcg_limit=120
# How long a failure is remembered, in seconds: of a boot, and of the preparation.
remember_boot=86400 remember_preparation=600

host_has_ipvs() {
  [ "$EUID" = 0 ] || return
  [ -e /proc/net/ip_vs ] || modprobe -q ip_vs 2>/dev/null
  [ -e /proc/net/ip_vs ] && unshare --net --mount --pid --fork true 2>/dev/null
}

# The kernels that we build. Programs run three times as fast on 7.2 as on 6.1: User Mode Linux since 6.16 starts
# system calls with seccomp instead of ptrace.
own_versions=(7.2 6.1)

is_built() { lab_paths "$1"; [ -x "$lab_kernel" ]; }

# candidates_for WISH: sets `candidates`, the kernels to try in turn.
candidates_for() {
  local version
  candidates=()
  if [ "$1" != modular ]; then
    for version in "${own_versions[@]}"; do
      [ "$1" = quick ] && ! is_built "$version" || candidates+=("$version")
    done
  fi
  candidates+=(packaged qemu)
  [ "$1" != modular ] || return 0
  [ "$1" = guest ] || [ ${#arguments[@]} -gt 0 ] || candidates=(host "${candidates[@]}")
}

# ---- remembered results

# memory_of KERNEL: sets `memory_file`.
memory_of() {
  local line model='' flags='' release
  if [ -z "${machine_id:-}" ]; then
    while IFS= read -r line; do
      case $line in 'model name'*) model=$line ;; flags*) flags=$line; break ;; esac
    done </proc/cpuinfo
    read -r release </proc/sys/kernel/osrelease
    machine_id=$(sha256sum <<<"$model $flags $release"); machine_id=${machine_id:0:16}
  fi
  lab_paths "$1"
  memory_file=$lab_cache/tried/$machine_id/${lab_home##*/}-$init_hash
  case $1 in qemu-*) memory_file+=-${1#qemu-} ;; esac
}

# recall KERNEL: sets `verdict` (works, fails, unprepared or empty) and `reason`.
recall() {
  local until
  verdict='' reason=''
  memory_of "$1"
  [ -e "$memory_file" ] || return 0
  ! [ "$lab_kernel" -nt "$memory_file" ] || return 0 # it was rebuilt
  { read -r verdict until; IFS= read -r reason; } <"$memory_file"
  [ "$verdict" = works ] || [ "$EPOCHSECONDS" -lt "${until:-0}" ] || verdict=
}

remember() { # KERNEL VERDICT SECONDS REASON
  verdict=$2 reason=$4
  memory_of "$1"
  mkdir -p "${memory_file%/*}"
  printf '%s %s\n%s\n' "$2" $((EPOCHSECONDS + $3)) "$4" >"$memory_file.$$" && mv "$memory_file.$$" "$memory_file"
}

# ---- trying

# try_kernel KERNEL: boots `true` on it, and remembers the result.
try_kernel() {
  local limit=$uml_limit words status
  case $1 in qemu-kvm) limit=$kvm_limit ;; qemu-tcg) limit=$tcg_limit ;; esac
  limit=${KUBE_IPVS_LAB_TRY_SECONDS:-$limit}
  words=$(setpriv --pdeathsig TERM "$lab_program" --kernel "$1" --timeout "$limit" -- true 2>&1 </dev/null)
  status=$?
  case $status in
    0) remember "$1" works 0 '' ;;
    129 | 130 | 143) exit "$status" ;;
    124) remember "$1" fails "$remember_boot" "It did not start a command within $limit s." ;;
    *) words=${words#"lab: "}; remember "$1" fails "$remember_boot" "${words%%$'\n'*}" ;;
  esac
  [ "$verdict" = works ]
}

prepare_kernel() { # KERNEL
  local status
  ! lab_is_made "$1" || return 0
  setpriv --pdeathsig TERM "$here/prepare" "$1"; status=$?
  case $status in 129 | 130 | 143) exit "$status" ;; esac
  return "$status"
}

# usable KERNEL: whether it works here; prepares and tries it unless that is known.
usable() {
  case $1 in
    host) host_has_ipvs; return ;;
    qemu) usable_qemu; return ;;
  esac
  recall "$1"
  [ "$verdict" != unprepared ] || [ "$only" != prepare ] || verdict=
  case $verdict in fails | unprepared) return 1 ;; esac
  [ "$only" != ready ] || return 0
  if ! prepare_kernel "$1"; then
    remember "$1" unprepared "$remember_preparation" 'It could not be prepared.'
  elif [ "$verdict" = works ] || try_kernel "$1"; then
    return 0
  fi
  printf 'lab: kernel "%s" does not work here: %s\n' "$1" "$reason" >&2
  return 1
}

usable_qemu() {
  [ "$only" = ready ] || { prepare_kernel qemu-tcg && choose_accelerator; } || usable qemu-tcg
}

# KVM is used only where it has booted Linux: /dev/kvm may exist and hang, as in a virtual machine.
choose_accelerator() {
  local device=${KUBE_IPVS_LAB_KVM-/dev/kvm}
  [ -n "$device" ] && [ -w "$device" ] || return
  recall qemu-kvm
  [ -n "$verdict" ] || { say "trying KVM (once)"; try_kernel qemu-kvm; }
  [ "$verdict" = works ]
}

# Replaces auto, guest, quick and modular by the first kernel that works here.
choose_kernel() {
  local candidate candidates
  case $kernel in auto | guest | quick | modular) ;; *) return 0 ;; esac
  candidates_for "$kernel"
  for candidate in "${candidates[@]}"; do
    if usable "$candidate"; then kernel=$candidate; return; fi
  done
  [ "$only" != ready ] || exit 1
  fail "no kernel with IPVS works here; run \"scripts/lab --doctor\" to see why, and what to do"
}
