/*
 * The file system of a lab guest: the host's files under a copy-on-write layer, the run directory and
 * the directories of -w written through, kernel modules, and the kernel's own file systems.
 *
 * In User Mode Linux the root that process 1 starts in is the host's already (hostfs). In QEMU it is an
 * initramfs, and the host's directories are virtio-9p mounts with the tags that scripts/kernel-lab/qemu.sh
 * gives them: host, run, modules, write0, write1, ...
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "init.h"

#define NEW_ROOT "/run/lab/root"
#define HIDDEN_OLD_ROOT "run/.old-root"
#define HOST_9P "/host"
#define OPTIONS_9P "trans=virtio,version=9p2000.L,msize=1048576,cache="

/* Calls each(line) for every line of a file; a file that does not exist has none. */
static void for_each_line(const char *directory, const char *name, void (*each)(const char *line))
{
	char path[PATH_LENGTH], line[PATH_LENGTH];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", directory, name);
	file = fopen(path, "re");
	if (!file)
		return;
	while (fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = 0;
		if (*line)
			each(line);
	}
	fclose(file);
}

static void load_module(const char *line)
{
	int name_length = strcspn(line, " "), fd;
	const char *parameters = line + name_length + (line[name_length] == ' ');
	char path[PATH_LENGTH];

	snprintf(path, sizeof path, "%s/%.*s", getenv("LAB_MODULES"), name_length, line);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, parameters, 0) < 0 && errno != EEXIST))
		dprintf(2, "lab init: module %s: %s\n", line, strerror(errno));
	close(fd);
}

/* Mounts a host directory at its own path in the new root: writes to it reach the host. */
static void mount_through(const char *directory, const char *tag, const char *options_9p)
{
	char target[PATH_LENGTH + sizeof NEW_ROOT];

	snprintf(target, sizeof target, NEW_ROOT "%s", directory);
	if (in_qemu())
		mount_or_complain(tag, target, "9p", 0, options_9p);
	else
		mount_or_complain(directory, target, NULL, MS_BIND, NULL);
}

static void write_through(const char *directory)
{
	static int count;
	char tag[32];

	snprintf(tag, sizeof tag, "write%d", count++);
	mount_through(directory, tag, OPTIONS_9P "mmap");
}

static void mount_modules(void)
{
	char target[PATH_LENGTH];
	struct utsname kernel;

	uname(&kernel);
	mkdir(NEW_ROOT "/lib/modules", 0755);
	snprintf(target, sizeof target, NEW_ROOT "/lib/modules/%s", kernel.release);
	mkdir(target, 0755);
	if (in_qemu()) {
		mount_or_complain("modules", target, "9p", MS_RDONLY, OPTIONS_9P "loose");
		return;
	}
	mount_or_complain(setting("LAB_MODULES"), target, NULL, MS_BIND, NULL);
	mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

static void prepare_initramfs(void)
{
	static const char *const directories[] = { "/proc", "/sys", "/dev", "/run", HOST_9P };

	for (unsigned i = 0; i < sizeof directories / sizeof *directories; i++)
		mkdir(directories[i], 0755);
}

static void mount_host_files(void)
{
	if (mount("host", HOST_9P, "9p", MS_RDONLY, OPTIONS_9P "loose") < 0)
		die("the host's files (virtio-9p)");
}

void make_root(void)
{
	const char *lower = in_qemu() ? HOST_9P : "/";
	char options[PATH_LENGTH], run_in_root[PATH_LENGTH];

	if (in_qemu())
		prepare_initramfs();
	mount_or_complain("proc", "/proc", "proc", 0, NULL);
	mount_or_complain("tmpfs", "/run", "tmpfs", 0, in_qemu() ? "mode=755,size=80%" : "mode=755");
	if (setting("LAB_MODULES"))
		for_each_line(setting("LAB_MODULES"), "load", load_module);
	if (in_qemu())
		mount_host_files();

	mkdir("/run/lab", 0755);
	mkdir("/run/lab/upper", 0755);
	mkdir("/run/lab/work", 0755);
	mkdir(NEW_ROOT, 0755);
	snprintf(options, sizeof options, "lowerdir=%s,upperdir=/run/lab/upper,workdir=/run/lab/work", lower);
	if (mount("overlay", NEW_ROOT, "overlay", 0, options) < 0)
		die("the copy-on-write root");

	/* Uncached: what the command prints must have reached the host when the guest powers off. */
	mount_through(run_directory, "run", OPTIONS_9P "none");
	snprintf(run_in_root, sizeof run_in_root, NEW_ROOT "%s", run_directory);
	for_each_line(run_in_root, "writable", write_through);
	if (setting("LAB_MODULES"))
		mount_modules();
}

/* Not chroot alone: in a chroot the kernel refuses to make user namespaces. */
static void pivot_into_root(void)
{
	mount_or_complain("tmpfs", "run", "tmpfs", 0, "mode=755");
	mkdir(HIDDEN_OLD_ROOT, 0700);
	if (syscall(SYS_pivot_root, ".", HIDDEN_OLD_ROOT) < 0 || chdir("/") < 0)
		die("pivot_root");
}

/* An initramfs cannot be pivoted away from; the new root is moved over it instead. */
static void move_over_initramfs(void)
{
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		die("moving the root");
	mount_or_complain("tmpfs", "/run", "tmpfs", 0, "mode=755");
}

static void mount_kernel_file_systems(void)
{
	mount_or_complain("proc", "/proc", "proc", 0, NULL);
	mount_or_complain("sysfs", "/sys", "sysfs", 0, NULL);
	mount_or_complain("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mkdir("/dev/pts", 0755);
	mount_or_complain("devpts", "/dev/pts", "devpts", 0, "ptmxmode=0666");
	mkdir("/dev/shm", 01777);
	mount_or_complain("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777");
	mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL); /* not in every kernel */
	(void)!symlink("/proc/self/fd", "/dev/fd");
	(void)!symlink("/proc/self/fd/0", "/dev/stdin");
	(void)!symlink("/proc/self/fd/1", "/dev/stdout");
	(void)!symlink("/proc/self/fd/2", "/dev/stderr");
}

void enter_root(void)
{
	if (chdir(NEW_ROOT) < 0)
		die("chdir " NEW_ROOT);
	if (in_qemu())
		move_over_initramfs();
	else
		pivot_into_root();
	mount_kernel_file_systems();
	if (in_qemu())
		return;
	umount2(HIDDEN_OLD_ROOT, MNT_DETACH);
	rmdir(HIDDEN_OLD_ROOT);
}
