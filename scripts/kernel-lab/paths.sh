# shellcheck shell=bash disable=SC2034
# The paths of the lab's cache; sourced by `scripts/lab` and `prepare`. Every path has a hash of its inputs, so a changed
# configuration or init is built beside the old one.

lab_cache=${KUBE_IPVS_LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:-~}/.cache}/kube-ipvs-lab}

# Raise when `prepare` itself would now make something different from the same inputs.
lab_recipe=2
qemu_recipe=1

lab_hashes() {
  [ -z "${config_hash:-}" ] || return 0
  local here=${BASH_SOURCE[0]%/*} first second third
  { read -r config_hash _; read -r first _; read -r second _; read -r third _; } \
    < <(sha256sum "$here/kernel.config" "$here/init.c" "$here/init-root.c" "$here/init.h")
  init_hash=${first:0:4}${second:0:4}${third:0:4}
}

# lab_paths KERNEL: sets lab_init, lab_kernel (the binary), lab_modules (its module directory) and
# lab_initramfs (QEMU only).
lab_paths() {
  lab_hashes
  lab_init=$lab_cache/init-$init_hash lab_initramfs=
  case $1 in
    packaged) lab_home=$lab_cache/packaged-$lab_recipe ;;
    qemu*) lab_home=$lab_cache/qemu-$qemu_recipe lab_initramfs=$lab_home/initramfs-$init_hash ;;
    [0-9]*.[0-9]*) lab_home=$lab_cache/linux-$1-$lab_recipe-${config_hash:0:12} ;;
    *) lab_home='' lab_kernel=$1 lab_modules=$1.modules; return ;;
  esac
  lab_kernel=$lab_home/linux lab_modules=$lab_home/modules
}

# lab_is_made KERNEL: whether nothing that KERNEL needs is missing.
lab_is_made() {
  lab_paths "$1"
  [ -x "$lab_kernel" ] && [ -x "$lab_init" ] || return
  [ -z "$lab_initramfs" ] || { [ -e "$lab_initramfs" ] && command -v qemu-system-x86_64 >/dev/null; }
}
