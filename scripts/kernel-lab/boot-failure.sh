# shellcheck shell=bash
# Turns the log of a kernel that did not start the command into one sentence; sourced by scripts/lab.

# boot_failure LOG KERNEL: prints what is wrong and what to do.
boot_failure() {
  local text; text=$(tr -d '\r' <"$1")
  case $text in
    *'ptrace set fp regs failed'* | *'ptrace get fp regs failed'*) fpu_failure "$2" ;;
    *check_ptrace*'Operation not permitted'* | *PTRACE*'Operation not permitted'* | *ptrace*'errno = 1'*)
      echo "User Mode Linux may not trace its own processes here (a container or a security policy forbids ptrace)." \
        "Use --kernel qemu." ;;
    *'Could not access KVM'* | *'failed to initialize kvm'* | *'failed to set MSR'*)
      echo "KVM does not work here ($(last_line "$text")). Use --kernel qemu-tcg." ;;
    *'annot allocate memory'* | *'No space left on device'* | *'cannot set up guest memory'*)
      echo "The guest's memory does not fit on this machine. Use a smaller --memory, or free /dev/shm." ;;
    *'Kernel panic - not syncing: '*)
      text=${text##*Kernel panic - not syncing: } text=${text%%$'\n'*}
      echo "The kernel \"$2\" panicked while it booted: ${text%.}. --log shows its log." ;;
    *'not an ELF'* | *'xec format error'* | *'No such file or directory'*)
      echo "The kernel \"$2\" cannot be started: $(last_line "$text")." ;;
    '') echo "The kernel \"$2\" ended without output before it started the command." ;;
    *) echo "The kernel \"$2\" ended before it started the command: $(last_line "$text"). --log shows its log." ;;
  esac
}

last_line() { local text=${1%$'\n'}; text=${text##*$'\n'}; printf '%s' "${text%.}"; }

fpu_failure() {
  case $1 in
    packaged)
      echo "This processor's FPU state (AMX) is larger than the packaged User Mode Linux supports." \
        "Use --kernel 7.2 (built once, about five minutes) or --kernel qemu." ;;
    [0-9]*.[0-9]*)
      echo "This processor's FPU state (AMX) is larger than this User Mode Linux $1 supports." \
        "Use --kernel qemu." ;;
    *)
      echo "This processor's FPU state (AMX) is larger than this User Mode Linux supports." \
        "Use --kernel 7.2 (built once, about five minutes) or --kernel qemu." ;;
  esac
}
