// Preloaded by the programs of a guest. In User Mode Linux a page fault costs about 30 µs, because the host delivers it as a signal;
// a start of Node.js takes 2,800 of them, which is most of its time. Here Node.js gets its memory with all pages present, by
// one system call for each mapping: of V8's heap, of malloc, and of the variables of the program. Other programs are left as they are.
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum { page = 1 << 12, v8_page = 1 << 18, malloc_top = 1 << 21 };

/** Larger mappings are mostly reserved only. */
static const size_t largest = 1 << 20;

/** V8 aligns its pages: it maps this much more than it needs, and then unmaps the surplus. */
static const size_t surplus = v8_page - page;

static int is_node;

static char *rounded_up(char *address, size_t unit) {
  return (char *)(((size_t)address + unit - 1) & ~(unit - 1));
}

/** Without an effect where the kernel refuses. */
static void populate(char *address, size_t size) {
  int saved = errno;
  madvise(address, size, MADV_POPULATE_WRITE);
  errno = saved;
}

/** The program's own variables, without those that are read-only after relocation. The first object is the program. */
static int populate_data(struct dl_phdr_info *object, size_t size, void *unused) {
  char *begin = NULL, *end = NULL, *read_only_end = NULL;
  (void)size;
  (void)unused;
  for (int index = 0; index < object->dlpi_phnum; index++) {
    const ElfW(Phdr) *header = &object->dlpi_phdr[index];
    char *address = (char *)object->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_RELRO) read_only_end = address + header->p_memsz;
    if (header->p_type != PT_LOAD || !(header->p_flags & PF_W)) continue;
    begin = address;
    end = address + header->p_memsz;
  }
  if (begin < read_only_end) begin = read_only_end;
  begin = rounded_up(begin, page);
  if (begin < end) populate(begin, (size_t)(rounded_up(end, page) - begin));
  return 1;
}

__attribute__((constructor)) static void start(void) {
  is_node = strcmp(program_invocation_short_name, "node") == 0;
  if (!is_node) return;
  dl_iterate_phdr(populate_data, NULL);
  mallopt(M_TOP_PAD, malloc_top);
  mallopt(M_TRIM_THRESHOLD, 16 * malloc_top);
  // This grows malloc's heap by the padding.
  char *volatile block = malloc(surplus / 2);
  free(block);
  populate((char *)sbrk(0) - malloc_top, malloc_top);
}

void *mmap(void *wanted, size_t size, int protection, int flags, int descriptor, off_t offset) {
  char *address = (char *)syscall(SYS_mmap, wanted, size, protection, flags, descriptor, offset);
  if (address == MAP_FAILED || !is_node) return address;
  if (descriptor != -1 || !(protection & PROT_WRITE) || (flags & MAP_NORESERVE)) return address;
  if (size <= surplus) populate(address, size);
  else if (size - surplus <= largest) populate(rounded_up(address, v8_page), size - surplus);
  return address;
}

void *mmap64(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap")));

int mprotect(void *address, size_t size, int protection) {
  int status = (int)syscall(SYS_mprotect, address, size, protection);
  if (status == 0 && is_node && size <= largest && (protection & PROT_WRITE)) populate(address, size);
  return status;
}
