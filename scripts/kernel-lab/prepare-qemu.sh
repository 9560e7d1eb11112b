# shellcheck shell=bash disable=SC2154
# What `prepare` does for QEMU; sourced by it. The stock kernel is Debian's, its modules are a selection
# (network, file systems, virtio), and the initramfs is our init with the few modules that mount the root.

# The package that linux-image-amd64 stands for, such as linux-image-6.1.0-57-amd64.
stock_kernel_package() {
  local package
  package=$(LC_ALL=C apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p;T;q')
  [ -n "$package" ] && printf '%s\n' "$package"
}

unpack_stock_kernel() {
  "$here/../need" depmod=kmod || exit 125
  local package release
  if ! package=$(stock_kernel_package); then
    [ "$(id -u)" != 0 ] || run_logged "fetch the package lists" apt update
    package=$(stock_kernel_package) || fail "apt-get knows no package linux-image-amd64: the kernel of QEMU is Debian's"
  fi
  mkdir -p "$work/package" "$work/unpacked" "$work/result"
  say "fetching the package $package (70 MB)"
  (cd "$work/package" && run_logged "download the package $package" apt download "$package")
  say "unpacking the package $package"
  run_logged "unpack the package $package" unpack_network_part "$work/package/$package"_*.deb "$work/unpacked"
  basename "$work/package/$package"_*.deb .deb >"$work/result/about"
  install -m 755 "$work"/unpacked/boot/vmlinuz-* "$work/result/linux"
  [ -d "$work/unpacked/lib" ] || ln -s usr/lib "$work/unpacked/lib"
  release=$(basename "$work"/unpacked/lib/modules/*)
  run_logged "list the kernel's modules" depmod -b "$work/unpacked" "$release"
  mv "$work/unpacked/lib/modules/$release" "$work/result/modules"
}

# A package holds 400 MB of modules, most of them for hardware.
unpack_network_part() {
  dpkg-deb --fsys-tarfile "$1" | tar x -C "$2" --wildcards \
    --exclude='*/drivers/net/ethernet' --exclude='*/drivers/net/wireless' \
    './boot/vmlinuz-*' '*lib/modules/*/modules.*' '*lib/modules/*/kernel/arch' '*lib/modules/*/kernel/crypto' \
    '*lib/modules/*/kernel/drivers/net' '*lib/modules/*/kernel/drivers/virtio' '*lib/modules/*/kernel/fs' \
    '*lib/modules/*/kernel/lib' '*lib/modules/*/kernel/net'
}

# cpio_entry NAME MODE [FILE]: one member of a cpio archive ("newc"), an empty directory unless there is a FILE.
cpio_entry() {
  local name=$1 mode=$2 file=${3:-} size=0
  [ -z "$file" ] || size=$(stat -c %s "$file")
  printf '070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\0' \
    $((cpio_inode += 1)) "0$mode" 0 0 1 0 "$size" 0 0 0 0 $((${#name} + 1)) 0 "$name"
  cpio_pad $((110 + ${#name} + 1))
  [ -z "$file" ] || { cat "$file"; cpio_pad "$size"; }
}
cpio_inode=0
cpio_pad() { head -c $(((4 - $1 % 4) % 4)) /dev/zero; }

# Modules that mount the host's files; everything else the guest's kernel loads by itself, through modprobe.
boot_modules='virtio_pci 9pnet_virtio 9p overlay'

initramfs_archive() {
  local file number=10
  cpio_entry init 100755 "$lab_init"
  cpio_entry modules 40755
  : >"$work/load"
  while read -r file _; do
    case $file in
      *.xz) xz -dc "$lab_modules/$file" >"$work/module" ;;
      *) cat "$lab_modules/$file" >"$work/module" ;;
    esac
    cpio_entry "modules/$((number += 1)).ko" 100644 "$work/module"
    echo "$number.ko" >>"$work/load"
  done < <(order_modules "$lab_modules" "$boot_modules")
  cpio_entry modules/load 100644 "$work/load"
  cpio_entry 'TRAILER!!!' 0
}

build_initramfs() {
  initramfs_archive >"$work/initramfs"
  mv "$work/initramfs" "$lab_initramfs"
}
