# shellcheck shell=bash disable=SC2154,SC2034
# Starts a QEMU guest; sourced by scripts/lab. QEMU emulates the processor unless KVM was seen to work. The
# guest boots Debian's stock kernel and gets the host's files over virtio-9p.

# share TAG DIRECTORY [OPTION]: makes a directory of the host a 9p mount of the guest.
share() {
  local path=${2//,/,,}
  shares+=(-fsdev "local,id=$1,path=$path,security_model=none,multidevs=remap${3:-}"
    -device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}

share_directories() {
  local directory number=0
  shares=()
  share host / ,readonly=on
  share modules "$lab_modules" ,readonly=on
  share run "$run"
  for directory in ${writable[@]+"${writable[@]}"}; do
    share "write$number" "$directory"
    number=$((number + 1))
  done
}

# The output of the command goes through files, so that nothing is lost when the guest powers off; `tail` passes it on at once.
pass_output_on() {
  tail -c +1 -s 0.1 -f --pid="$guest" "$run/err" >&2 & cats=($!)
  [ -n "$terminal" ] || { tail -c +1 -s 0.1 -f --pid="$guest" "$run/out" & cats+=($!); }
}

# Sets processors and pin: up to four processors, or the one of --cpu. Instructions are counted on one processor.
take_processors() {
  local cpus
  if [ "$kernel" = qemu-count ]; then pin=() processors=1; return; fi
  allowed_cpus
  pin=() processors=${#cpus[@]}
  [ "$processors" -le 4 ] || processors=4
  case $cpu in auto | any) ;; *) pin=(taskset -c "$cpu") processors=1 ;; esac
}

start_qemu() {
  local shares processors accelerator=tcg,thread=multi count=() serial=(-serial null) in out
  [ "$kernel" != qemu-kvm ] || accelerator=kvm
  [ "$kernel" != qemu-count ] || { accelerator=tcg,thread=single count=(-icount "shift=0,sleep=off"); }
  [ -n "$memory" ] || memory=1G
  take_processors
  share_directories
  : >"$run/out"; : >"$run/err"
  if [ -n "$terminal" ]; then
    exec {in}<&0 {out}>&1
    serial=(-chardev 'stdio,id=terminal,signal=off' -serial chardev:terminal)
  else
    exec {in}</dev/null {out}>&"$kernel_log"
  fi
  # -arch-capabilities: KVM in a virtual machine may have this feature of the processor and refuse to set it.
  local words=(console=ttyS0 quiet panic=-1 mitigations=off cryptomgr.notests random.trust_cpu=on no_timer_check
    rcupdate.rcu_expedited=1 nokaslr dummy.numdummies=0 fb_tunnels=none ${arguments[@]+"${arguments[@]}"}
    LAB_MACHINE=qemu "LAB_RUN=$run" LAB_MODULES=/modules "LAB_STDIN=$stdin" "LAB_TERMINAL=$terminal_size")
  limited qemu-system-x86_64 -machine q35 -accel "$accelerator" -cpu max,-arch-capabilities -smp "$processors" \
    -m "$memory" -nodefaults -no-user-config -display none -no-reboot -nic none ${count[@]+"${count[@]}"} \
    -kernel "$lab_kernel" -initrd "$lab_initramfs" -append "${words[*]}" \
    -chardev "file,id=log,path=$run/log,append=on" -serial chardev:log "${serial[@]}" "${shares[@]}" \
    <&"$in" >&"$out" 2>&"$kernel_log" &
  guest=$!
  pass_output_on
}
