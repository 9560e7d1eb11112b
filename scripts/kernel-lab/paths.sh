# shellcheck shell=bash disable=SC2034
# Where the lab keeps what it made; sourced by `scripts/lab` and `prepare`. Every path carries a hash
# of what it was made from, so a changed configuration or init is made anew beside the old one.

lab_cache=${KUBE_IPVS_LAB_CACHE:-${XDG_CACHE_HOME:-${HOME:-~}/.cache}/kube-ipvs-lab}

# Raise when `prepare` itself would now make something different from the same inputs.
lab_recipe=2

# lab_paths KERNEL: sets lab_init, lab_kernel (the binary) and lab_modules (its module directory).
lab_paths() {
  local here=${BASH_SOURCE[0]%/*} config_hash init_hash
  { read -r config_hash _; read -r init_hash _; } < <(sha256sum "$here/kernel.config" "$here/init.c")
  lab_init=$lab_cache/init-${init_hash:0:12}
  case $1 in
    packaged) lab_home=$lab_cache/packaged-$lab_recipe ;;
    [0-9]*.[0-9]*) lab_home=$lab_cache/linux-$1-$lab_recipe-${config_hash:0:12} ;;
    *) lab_home='' lab_kernel=$1 lab_modules=$1.modules; return ;;
  esac
  lab_kernel=$lab_home/linux lab_modules=$lab_home/modules
}
