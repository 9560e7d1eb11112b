/*
 * Process 1 of a lab guest. It puts a copy-on-write layer over the host's files (init-root.c), runs one
 * command, copies its output to the host as it comes, writes its exit status and powers off. Static and
 * in C because each fork at boot costs milliseconds: a whole User Mode Linux guest for `true` takes less
 * than 0.2 s; and because an initramfs then needs no other program.
 *
 * From the kernel's command line, as environment:
 *   LAB_RUN       directory on the host: `command` (a shell script), `writable` (directories written
 *                 through to the host, one a line), `stdin`; `started` is written here before the
 *                 command runs, `status` at the end
 *   LAB_MODULES   directory of modules: those that its file `load` names, one and its parameters a line,
 *                 are loaded first. Becomes /lib/modules/RELEASE (in QEMU the mount `modules` does)
 *   LAB_STDIN     the command reads $LAB_RUN/stdin instead of /dev/null
 *   LAB_TERMINAL  ROWSxCOLUMNS: the command's input and output are a terminal
 *   LAB_MACHINE   "qemu" in QEMU
 *
 * In User Mode Linux tty1 and tty2 are the host's stdout and stderr. In QEMU the files `out` and `err` in
 * LAB_RUN are, and the terminal is the second serial port.
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
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "init.h"

const char *run_directory;

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
void die(const char *what)
{
	dprintf(2, "lab init: %s: %s\n", what, strerror(errno));
	power_off(TROUBLE);
}

void mount_or_complain(const char *source, const char *target, const char *type, unsigned long flags,
		       const char *options)
{
	if (mount(source, target, type, flags, options) < 0)
		dprintf(2, "lab init: mount %s on %s: %s\n", source, target, strerror(errno));
}

const char *setting(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

int in_qemu(void)
{
	const char *machine = setting("LAB_MACHINE");

	return machine && strcmp(machine, "qemu") == 0;
}

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		return;
	dprintf(fd, "%s", text);
	close(fd);
}

static void write_run_file(const char *name, const char *text)
{
	char path[PATH_LENGTH];

	snprintf(path, sizeof path, "%s/%s", run_directory, name);
	write_file(path, text);
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

/* Copies the two pipes to the host until the command has ended and nothing is left in them. */
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

/* Where the host takes stdout (0) and stderr (1) from. */
static int open_output(int number, int is_terminal)
{
	static const char *const ttys[] = { "/dev/tty1", "/dev/tty2" }, *const files[] = { "out", "err" };
	char path[PATH_LENGTH];

	if (!in_qemu())
		return open_tty(ttys[number], number ? O_WRONLY : O_RDWR, !is_terminal);
	if (is_terminal && number == 0)
		return open_tty("/dev/ttyS1", O_RDWR, 0);
	snprintf(path, sizeof path, "%s/%s", run_directory, files[number]);
	return open_tty(path, O_WRONLY | O_APPEND, 0);
}

static int open_input(void)
{
	char path[PATH_LENGTH];

	snprintf(path, sizeof path, "%s/stdin", run_directory);
	return open(setting("LAB_STDIN") ? path : "/dev/null", O_RDONLY | O_CLOEXEC);
}

static void set_terminal_size(int tty)
{
	struct winsize size = { 24, 80, 0, 0 };

	sscanf(setting("LAB_TERMINAL"), "%hux%hu", &size.ws_row, &size.ws_col);
	ioctl(tty, TIOCSWINSZ, &size);
}

static void make_pipe(int *read_end, int *write_end)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		die("pipe");
	*read_end = ends[0];
	*write_end = ends[1];
}

/* The end of a child is told by a descriptor; sets `before` to what the command gets for its signals. */
static int watch_children(sigset_t *before)
{
	sigset_t child_ended;

	sigemptyset(&child_ended);
	sigaddset(&child_ended, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child_ended, before);
	return signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int run_command(void)
{
	int is_terminal = setting("LAB_TERMINAL") != NULL;
	int to_host[2] = { open_output(0, is_terminal), open_output(1, is_terminal) };
	int from[2] = { -1, -1 }, output[2] = { to_host[0], to_host[0] };
	int input = is_terminal ? to_host[0] : open_input(), signals, status;
	sigset_t before;
	pid_t command;

	if (is_terminal)
		set_terminal_size(to_host[0]);
	for (int i = 0; i < 2 && !is_terminal; i++)
		make_pipe(&from[i], &output[i]);
	signals = watch_children(&before);

	command = fork();
	if (command < 0)
		die("fork");
	if (command == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		become_command(input, output[0], output[1], is_terminal);
	}
	for (int i = 0; i < 2 && !is_terminal; i++)
		close(output[i]);
	status = supervise(command, signals, from, to_host);
	tcdrain(to_host[0]);
	tcdrain(to_host[1]);
	return status;
}

int main(void)
{
	char text[16];
	int status;

	run_directory = setting("LAB_RUN");
	if (!run_directory)
		die("LAB_RUN is not set");
	make_root();
	enter_root();
	bring_loopback_up();
	sethostname("lab", 3);
	write_file("/proc/sys/kernel/panic_on_oops", "1");
	/* libuv maps rings of io_uring, which User Mode Linux 7.2 cannot do ("Bad page map"). */
	write_file("/proc/sys/kernel/io_uring_disabled", "2");

	write_run_file("started", "");
	status = run_command();
	snprintf(text, sizeof text, "%d\n", status);
	write_run_file("status", text);
	power_off(status);
}
