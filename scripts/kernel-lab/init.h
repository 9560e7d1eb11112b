/* Process 1 of a lab guest: what init.c (runs the command) and init-root.c (makes the file system) share. */
#ifndef LAB_INIT_H
#define LAB_INIT_H

enum { TROUBLE = 125, PATH_LENGTH = 4096 };

/* The directory on the host that a run shares with its guest (LAB_RUN). */
extern const char *run_directory;

/* An environment variable, that is, a word of the kernel's command line; NULL if unset or empty. */
const char *setting(const char *name);
/* True in QEMU: the host's files come over virtio-9p, and process 1 starts in an initramfs. */
int in_qemu(void);

void die(const char *what);
void mount_or_complain(const char *source, const char *target, const char *type, unsigned long flags,
		       const char *options);
void write_file(const char *path, const char *text);

/* Puts a copy-on-write layer over the host's files, with what is written through on top, and moves into it. */
void make_root(void);
void enter_root(void);

#endif
