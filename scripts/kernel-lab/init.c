/*
 * Process 1 of a lab guest: a User Mode Linux kernel whose root is the host's file system.
 * It puts a copy-on-write layer over that root, runs one command, copies its output to the host as it
 * comes, writes its exit status and powers off. Static and in C because each fork at boot costs
 * milliseconds: a whole guest for `true` takes less than 0.2 s.
 *
 * From the kernel's command line, as environment:
 *   LAB_RUN       directory on the host: `command` (a shell script), `writable` (directories written
 *                 through to the host, one a line), `stdin`; `status` is written here at the end
 *   LAB_MODULES   directory that becomes /lib/modules/RELEASE; the modules that its file `load` names,
 *                 one and its parameters a line, are loaded first
 *   LAB_STDIN     the command reads $LAB_RUN/stdin instead of /dev/null
 *   LAB_TERMINAL  ROWSxCOLUMNS: the command's input and output are a terminal
 *
 * tty1 and tty2 are the host's stdout and stderr.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { TROUBLE = 125, PATH_LENGTH = 4096 };

#define NEW_ROOT "/run/lab/root"
#define HIDDEN_OLD_ROOT "run/.old-root"

static const char *run_directory;

static void power_off(int status)
{
	int fd = open("/proc/exitcode", O_WRONLY | O_CLOEXEC); /* the exit status of the UML process */

	if (fd >= 0) {
		dprintf(fd, "%d\n", status & 255);
		close(fd);
	}
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}

/* Standard error is the kernel log, which the host shows when the guest leaves no status. */
static void die(const char *what)
{
	dprintf(2, "lab init: %s: %s\n", what, strerror(errno));
	power_off(TROUBLE);
}

static void mount_or_complain(const char *source, const char *target, const char *type,
			      unsigned long flags, const char *options)
{
	if (mount(source, target, type, flags, options) < 0)
		dprintf(2, "lab init: mount %s on %s: %s\n", source, target, strerror(errno));
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

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

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		return;
	dprintf(fd, "%s", text);
	close(fd);
}

/* Mounts a host directory at its own path in the new root: writes to it reach the host. */
static void write_through(const char *directory)
{
	char target[PATH_LENGTH + sizeof NEW_ROOT];

	snprintf(target, sizeof target, NEW_ROOT "%s", directory);
	mount_or_complain(directory, target, NULL, MS_BIND, NULL);
}

static void bind_modules(const char *modules)
{
	char target[PATH_LENGTH];
	struct utsname kernel;

	uname(&kernel);
	mkdir(NEW_ROOT "/lib/modules", 0755);
	snprintf(target, sizeof target, NEW_ROOT "/lib/modules/%s", kernel.release);
	mkdir(target, 0755);
	mount_or_complain(modules, target, NULL, MS_BIND, NULL);
	mount(NULL, target, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
}

static void make_root(void)
{
	const char *modules = setting("LAB_MODULES");

	mount_or_complain("proc", "/proc", "proc", 0, NULL);
	mount_or_complain("tmpfs", "/run", "tmpfs", 0, "mode=755");
	if (modules)
		for_each_line(modules, "load", load_module);

	mkdir("/run/lab", 0755);
	mkdir("/run/lab/upper", 0755);
	mkdir("/run/lab/work", 0755);
	mkdir(NEW_ROOT, 0755);
	if (mount("overlay", NEW_ROOT, "overlay", 0,
		  "lowerdir=/,upperdir=/run/lab/upper,workdir=/run/lab/work") < 0)
		die("the copy-on-write root");

	write_through(run_directory);
	for_each_line(run_directory, "writable", write_through);
	if (modules)
		bind_modules(modules);
}

/* Not chroot: in a chroot the kernel refuses to make user namespaces. */
static void enter_root(void)
{
	if (chdir(NEW_ROOT) < 0)
		die("chdir " NEW_ROOT);
	mount_or_complain("tmpfs", "run", "tmpfs", 0, "mode=755");
	mkdir(HIDDEN_OLD_ROOT, 0700);
	if (syscall(SYS_pivot_root, ".", HIDDEN_OLD_ROOT) < 0 || chdir("/") < 0)
		die("pivot_root");

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

	umount2(HIDDEN_OLD_ROOT, MNT_DETACH);
	rmdir(HIDDEN_OLD_ROOT);
}

static void bring_loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

static int open_tty(const char *path, int flags, int make_raw)
{
	struct termios settings;
	int fd = open(path, flags | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		die(path);
	if (make_raw && tcgetattr(fd, &settings) == 0) {
		cfmakeraw(&settings);
		tcsetattr(fd, TCSANOW, &settings);
	}
	return fd;
}

/* In the child: becomes the command. Without a terminal its output are pipes, so it sees none. */
static void become_command(int input, int output, int error_output, int is_terminal)
{
	char script[PATH_LENGTH];

	setsid();
	if (is_terminal)
		ioctl(input, TIOCSCTTY, 1);
	dup2(input, 0);
	dup2(output, 1);
	dup2(error_output, 2);
	snprintf(script, sizeof script, "%s/command", run_directory);
	clearenv(); /* what the kernel's command line left; the script sets the caller's environment */
	execl("/bin/sh", "sh", "-c", ". \"$1\"", "lab", script, NULL);
	_exit(127);
}

static void copy_all(int fd, const char *bytes, ssize_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, 100);
		else if (written < 0 && errno != EINTR)
			return;
		else if (written > 0)
			bytes += written, length -= written;
	}
}

/* True when the command has ended: then everything that it left running ends too. */
static int reap(pid_t command, int *status)
{
	int ended = 0, some;
	pid_t pid;

	while ((pid = waitpid(-1, &some, WNOHANG)) > 0)
		if (pid == command) {
			*status = some;
			ended = 1;
			kill(-1, SIGKILL);
		}
	return ended;
}

/* Copies the two pipes to the two ttys until the command has ended and nothing is left in them. */
static int supervise(pid_t command, int signals, const int from[2], const int to[2])
{
	enum { AFTER_END_MS = 500 };
	static char buffer[65536];
	struct pollfd watched[3] = { { from[0], POLLIN, 0 }, { from[1], POLLIN, 0 }, { signals, POLLIN, 0 } };
	int status = 0, ended = 0;

	while (!ended || watched[0].fd >= 0 || watched[1].fd >= 0) {
		if (poll(watched, 3, ended ? AFTER_END_MS : -1) == 0)
			break;
		if (watched[2].revents) {
			struct signalfd_siginfo ignored;

			(void)!read(signals, &ignored, sizeof ignored);
			ended |= reap(command, &status);
		}
		for (int i = 0; i < 2; i++) {
			if (watched[i].fd < 0 || !watched[i].revents)
				continue;
			ssize_t length = read(watched[i].fd, buffer, sizeof buffer);

			if (length <= 0)
				watched[i].fd = -1;
			else
				copy_all(to[i], buffer, length);
		}
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_command(void)
{
	const char *terminal = setting("LAB_TERMINAL");
	int tty[2] = { open_tty("/dev/tty1", O_RDWR, !terminal), open_tty("/dev/tty2", O_WRONLY, !terminal) };
	int from[2] = { -1, -1 }, output[2] = { tty[0], tty[0] }, input, status, signals;
	char path[PATH_LENGTH];
	sigset_t child_ended, before;
	pid_t command;

	snprintf(path, sizeof path, "%s/stdin", run_directory);
	input = terminal ? tty[0] : open(setting("LAB_STDIN") ? path : "/dev/null", O_RDONLY | O_CLOEXEC);
	if (terminal) {
		struct winsize size = { 24, 80, 0, 0 };

		sscanf(terminal, "%hux%hu", &size.ws_row, &size.ws_col);
		ioctl(tty[0], TIOCSWINSZ, &size);
	} else {
		for (int i = 0; i < 2; i++) {
			int ends[2];

			if (pipe2(ends, O_CLOEXEC) < 0)
				die("pipe");
			from[i] = ends[0];
			output[i] = ends[1];
		}
	}

	sigemptyset(&child_ended);
	sigaddset(&child_ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_ended, &before);
	signals = signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);

	command = fork();
	if (command < 0)
		die("fork");
	if (command == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		become_command(input, output[0], output[1], terminal != NULL);
	}
	if (!terminal) {
		close(output[0]);
		close(output[1]);
	}
	status = supervise(command, signals, from, tty);
	tcdrain(tty[0]);
	tcdrain(tty[1]);
	return status;
}

int main(void)
{
	char path[PATH_LENGTH], text[16];
	int status;

	run_directory = setting("LAB_RUN");
	if (!run_directory)
		die("LAB_RUN is not set");
	make_root();
	enter_root();
	bring_loopback_up();
	sethostname("lab", 3);
	write_file("/proc/sys/kernel/panic_on_oops", "1");

	status = run_command();
	snprintf(text, sizeof text, "%d\n", status);
	snprintf(path, sizeof path, "%s/status", run_directory);
	write_file(path, text);
	power_off(status);
}
