# shellcheck shell=bash disable=SC2154
# scripts/lab --doctor: reports which kernels work here and why the others do not. Tries each kernel that is
# prepared, whatever is remembered; fetches and builds nothing.

processor_name() {
  local key value
  while IFS=: read -r key value; do
    case $key in 'model name'*) printf '%s' "${value# }"; return ;; esac
  done </proc/cpuinfo
  printf 'an unknown processor'
}

# row MARK NAME TEXT: one aligned line, its text wrapped below itself.
row() {
  local line first=1
  while IFS= read -r line; do
    if [ -n "$first" ]; then printf '  %s %-9s %s\n' "$1" "$2" "$line"; else printf '    %-9s %s\n' '' "$line"; fi
    first=
  done < <(fold -s -w 84 <<<"$3")
}

check_host() {
  if host_has_ipvs; then
    works+=(host); row '✓' host "This machine's kernel has IPVS."
  elif [ "$EUID" != 0 ]; then
    row '✗' host "Needs root."
  elif [ ! -e /proc/net/ip_vs ]; then
    row '✗' host "This machine's kernel has no IPVS, or cannot load it."
  else
    row '✗' host "This machine's kernel has IPVS, but does not allow new namespaces."
  fi
}

# check_kernel KERNEL NAME WHAT-IT-IS HOW-TO-PREPARE
check_kernel() {
  local began
  if ! lab_is_made "$1"; then
    row '-' "$2" "Not prepared yet ($4): scripts/lab --kernel $2 --prepare"
    return
  fi
  began=${EPOCHREALTIME/[.,]/}
  if try_kernel "$1"; then
    began=$(((${EPOCHREALTIME/[.,]/} - began) / 100000))
    works+=("$2"); row '✓' "$2" "$3; boots and ends in $((began / 10)).$((began % 10)) s."
  else
    row '✗' "$2" "$reason"
  fi
}

check_kvm() {
  local device=${KUBE_IPVS_LAB_KVM-/dev/kvm}
  if [ -z "$device" ] || [ ! -e "$device" ]; then
    row '-' kvm "This machine has no ${device:-KVM}. QEMU emulates the processor, which is slower."
  elif [ ! -w "$device" ]; then
    row '-' kvm "You may not open $device. QEMU emulates the processor, which is slower."
  elif ! lab_is_made qemu-kvm; then
    row '-' kvm "Not tried: it needs the kernel qemu."
  elif try_kernel qemu-kvm; then
    row '✓' kvm "QEMU uses it."
  else
    row '✗' kvm "Linux does not boot with it (${reason%.}). QEMU emulates the processor, which is slower."
  fi
}

doctor_conclusion() {
  echo
  if [ ${#works[@]} = 0 ]; then
    echo 'No kernel is ready. Next: scripts/lab --prepare  tries them in the order above, and builds or'
    echo '                            fetches what is missing.'
    return 1
  fi
  echo "Commands run on \"${works[0]}\", unless --kernel chooses another."
  case " ${works[*]} " in
    *" host "* | *" 7.2 "* | *" 6.1 "*) ;;
    *) echo 'The tests need a kernel with all features and virtual time: scripts/lab --kernel 7.2 --prepare' ;;
  esac
}

doctor() {
  local works=() version amx='no AMX'
  ! grep -qw amx_tile /proc/cpuinfo || amx='AMX: the packaged User Mode Linux cannot run on it'
  printf 'Linux %s, %s (%s)\n\n' "$(uname -r)" "$(processor_name)" "$amx"
  check_host
  for version in "${own_versions[@]}"; do
    check_kernel "$version" "$version" 'User Mode Linux built from source, all features' 'about five minutes'
  done
  check_kernel packaged packaged 'User Mode Linux of Debian, no nftables for IPv4 and IPv6' 'seconds'
  check_kernel qemu-tcg qemu 'Stock kernel of Debian in QEMU, all features' 'a download of 70 MB and QEMU'
  check_kvm
  doctor_conclusion
}
