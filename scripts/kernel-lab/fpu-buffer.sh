# shellcheck shell=bash
# Makes room for the registers of every x86_64 processor; sourced by `prepare`. User Mode Linux up to 6.12 keeps the FPU
# state of a process in a buffer of 2,696 bytes; a processor with AMX has 11,008 and its kernel refuses less ("ptrace set
# fp regs failed"). The buffer lies on the kernel stack: kernel.config makes the stack larger. Newer kernels ask the host
# for the size, and have no such line.

# enlarge_fpu_buffer FILE: edits arch/x86/um/user-offsets.c. Prints a line that it does not know and fails. The branches of
# i386 and of headers without FP_XSTATE_MAGIC1 are not compiled.
enlarge_fpu_buffer() {
  sed -i 's/DEFINE_LONGS(HOST_FP_SIZE, 2696)/DEFINE_LONGS(HOST_FP_SIZE, 12288)/' "$1"
  ! sed -e '/^#ifdef __i386__/,/^#else/d' -e '/^#ifdef FP_XSTATE_MAGIC1/,/^#endif/{/^#else/,/^#endif/d}' "$1" |
    grep 'HOST_FP_SIZE' | grep -vF 'DEFINE_LONGS(HOST_FP_SIZE, 12288);'
}
