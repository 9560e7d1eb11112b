/*
 * What Node lacks. Netlink sockets: our own socket for commands (open, send, receive, close), socket options for sockets that the
 * npm package `netlink` opened, and queries that x_tables answers as an option of an IP socket. Unix sockets with an abstract name,
 * whose other end can be asked for its user. And memory that the process does not need. Every function is synchronous and none
 * blocks: the kernel executes a netlink request within sendto and has queued its replies when sendto returns.
 *
 * Plain C and Node-API, so `cc -shared -fPIC` builds it (scripts/build-native.mjs). A system call that fails throws an
 * Error with `errno`, a positive number.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/netlink.h>

#include "node-api.h"

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
/* include/uapi/linux/sock_diag.h: SK_MEMINFO_DROPS, SK_MEMINFO_VARS */
enum { MEMINFO_DROPS = 8, MEMINFO_WORDS = 9 };

static napi_value fail(napi_env env, const char *operation, int number) {
  char text[160];
  napi_value message, error, value;
  snprintf(text, sizeof text, "%s: %s", operation, strerror(number));
  if (napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message) == napi_ok &&
      napi_create_error(env, NULL, message, &error) == napi_ok &&
      napi_create_int32(env, number, &value) == napi_ok &&
      napi_set_named_property(env, error, "errno", value) == napi_ok)
    napi_throw(env, error);
  return NULL;
}

static napi_value number(napi_env env, int64_t value) {
  napi_value result = NULL;
  if (value > INT32_MAX) napi_create_uint32(env, (uint32_t)value, &result);
  else napi_create_int32(env, (int32_t)value, &result);
  return result;
}

/* Reads `count` integers and then, where `bytes` is not NULL, one Uint8Array. False: a TypeError is pending. */
static bool arguments(napi_env env, napi_callback_info info, size_t count, int32_t *integers, uint8_t **bytes,
                      size_t *length) {
  napi_value values[4];
  size_t wanted = count + (bytes != NULL ? 1 : 0), given = wanted;
  bool good = napi_get_cb_info(env, info, &given, values, NULL, NULL) == napi_ok && given >= wanted;
  for (size_t i = 0; good && i < count; i++) good = napi_get_value_int32(env, values[i], &integers[i]) == napi_ok;
  if (good && bytes != NULL) {
    napi_typedarray_type type = -1;
    void *data = NULL;
    good = napi_get_typedarray_info(env, values[count], &type, length, &data, NULL, NULL) == napi_ok &&
           type == napi_uint8_array;
    *bytes = data;
  }
  if (!good) napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", "expected integers and, last, a Uint8Array");
  return good;
}

/* openSocket(protocol) -> descriptor: non-blocking, close-on-exec, bound to a port id that the kernel chooses. */
static napi_value open_socket(napi_env env, napi_callback_info info) {
  int32_t protocol;
  if (!arguments(env, info, 1, &protocol, NULL, NULL)) return NULL;
  int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (descriptor < 0) return fail(env, "socket", errno);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
    int reason = errno;
    close(descriptor);
    return fail(env, "bind", reason);
  }
  return number(env, descriptor);
}

/* portId(descriptor) -> the kernel's address of the netlink socket. Any other descriptor fails. */
static napi_value port_id(napi_env env, napi_callback_info info) {
  int32_t descriptor;
  if (!arguments(env, info, 1, &descriptor, NULL, NULL)) return NULL;
  struct sockaddr_nl address = {0};
  socklen_t length = sizeof address;
  if (getsockname(descriptor, (struct sockaddr *)&address, &length) < 0) return fail(env, "getsockname", errno);
  if (address.nl_family != AF_NETLINK) return fail(env, "getsockname", EAFNOSUPPORT);
  return number(env, address.nl_pid);
}

/* setOption(descriptor, level, name, value): an integer socket option. */
static napi_value set_option(napi_env env, napi_callback_info info) {
  int32_t given[4];
  if (!arguments(env, info, 4, given, NULL, NULL)) return NULL;
  int value = given[3];
  if (setsockopt(given[0], given[1], given[2], &value, sizeof value) < 0) return fail(env, "setsockopt", errno);
  return NULL;
}

/* getOption(descriptor, level, name) -> integer. */
static napi_value get_option(napi_env env, napi_callback_info info) {
  int32_t given[3];
  if (!arguments(env, info, 3, given, NULL, NULL)) return NULL;
  int value = 0;
  socklen_t length = sizeof value;
  if (getsockopt(given[0], given[1], given[2], &value, &length) < 0) return fail(env, "getsockopt", errno);
  return number(env, value);
}

/*
 * querySocketOption(domain, level, name, bytes) -> length of the answer: getsockopt on a socket that is opened for it.
 * `bytes` holds the query and, when this returns, the answer. The kernel answers on any socket of the domain; unlike the
 * raw socket of iptables, a datagram socket needs no CAP_NET_RAW.
 */
static napi_value query_socket_option(napi_env env, napi_callback_info info) {
  int32_t given[3];
  uint8_t *bytes;
  size_t length;
  if (!arguments(env, info, 3, given, &bytes, &length)) return NULL;
  int descriptor = socket(given[0], SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return fail(env, "socket", errno);
  socklen_t answered = length;
  int result = getsockopt(descriptor, given[1], given[2], bytes, &answered);
  int reason = errno;
  close(descriptor);
  return result < 0 ? fail(env, "getsockopt", reason) : number(env, answered);
}

/* readOption(descriptor, level, name, bytes) -> length: a socket option that is no integer, such as SO_PEERCRED. */
static napi_value read_option(napi_env env, napi_callback_info info) {
  int32_t given[3];
  uint8_t *bytes;
  size_t length;
  if (!arguments(env, info, 3, given, &bytes, &length)) return NULL;
  socklen_t answered = length;
  if (getsockopt(given[0], given[1], given[2], bytes, &answered) < 0) return fail(env, "getsockopt", errno);
  return number(env, answered);
}

/* Opens a Unix stream socket and gives it to `act` with an abstract name (unix(7)), which is the argument. Returns the descriptor. */
static napi_value abstract_socket(napi_env env, napi_callback_info info, const char *operation,
                                  int (*act)(int, const struct sockaddr *, socklen_t)) {
  uint8_t *name;
  size_t length;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!arguments(env, info, 0, NULL, &name, &length)) return NULL;
  if (length >= sizeof address.sun_path) return fail(env, operation, ENAMETOOLONG);
  memcpy(address.sun_path + 1, name, length);
  int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return fail(env, "socket", errno);
  const socklen_t size = offsetof(struct sockaddr_un, sun_path) + 1 + length;
  if (act(descriptor, (struct sockaddr *)&address, size) == 0) return number(env, descriptor);
  int reason = errno;
  close(descriptor);
  return fail(env, operation, reason);
}

static int bind_and_listen(int descriptor, const struct sockaddr *address, socklen_t size) {
  return bind(descriptor, address, size) < 0 ? -1 : listen(descriptor, SOMAXCONN);
}

/* listenAt(name) -> descriptor of a Unix socket that has the abstract name in this network namespace. EADDRINUSE: another has it. */
static napi_value listen_at(napi_env env, napi_callback_info info) {
  return abstract_socket(env, info, "bind", bind_and_listen);
}

/* connectTo(name) -> descriptor of a connection to the Unix socket that has the abstract name. ECONNREFUSED: none has it. */
static napi_value connect_to(napi_env env, napi_callback_info info) {
  return abstract_socket(env, info, "connect", connect);
}

/* attachFilter(descriptor, program): an array of struct sock_filter; the kernel queues only what the program accepts. */
static napi_value attach_filter(napi_env env, napi_callback_info info) {
  int32_t descriptor;
  uint8_t *bytes;
  size_t length;
  if (!arguments(env, info, 1, &descriptor, &bytes, &length)) return NULL;
  struct sock_fprog program = {.len = length / sizeof(struct sock_filter), .filter = (struct sock_filter *)bytes};
  if (setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0)
    return fail(env, "setsockopt SO_ATTACH_FILTER", errno);
  return NULL;
}

/* dropped(descriptor) -> the number of datagrams that the kernel could not queue since the socket was opened. */
static napi_value dropped(napi_env env, napi_callback_info info) {
  int32_t descriptor;
  if (!arguments(env, info, 1, &descriptor, NULL, NULL)) return NULL;
  uint32_t words[MEMINFO_WORDS] = {0};
  socklen_t length = sizeof words;
  if (getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, words, &length) < 0)
    return fail(env, "getsockopt SO_MEMINFO", errno);
  return number(env, words[MEMINFO_DROPS]);
}

/* send(descriptor, bytes): one datagram to the kernel, which executes all messages in it before this returns. */
static napi_value send_datagram(napi_env env, napi_callback_info info) {
  int32_t descriptor;
  uint8_t *bytes;
  size_t length;
  if (!arguments(env, info, 1, &descriptor, &bytes, &length)) return NULL;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  ssize_t sent;
  do sent = sendto(descriptor, bytes, length, 0, (struct sockaddr *)&kernel, sizeof kernel);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) return fail(env, "send", errno);
  return NULL;
}

/*
 * receive(descriptor, bytes) -> length of the next datagram from the kernel; more than bytes.length where it did not
 * fit (its rest is lost); -EAGAIN where none is queued. Datagrams from other processes are dropped.
 */
static napi_value receive_datagram(napi_env env, napi_callback_info info) {
  int32_t descriptor;
  uint8_t *bytes;
  size_t length;
  if (!arguments(env, info, 1, &descriptor, &bytes, &length)) return NULL;
  for (;;) {
    struct sockaddr_nl sender = {0};
    socklen_t sender_length = sizeof sender;
    ssize_t received = recvfrom(descriptor, bytes, length, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&sender,
                                &sender_length);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return number(env, -EAGAIN);
    if (received < 0) return fail(env, "receive", errno);
    if (sender.nl_pid == 0) return number(env, received);
  }
}

/* close(descriptor). */
static napi_value close_socket(napi_env env, napi_callback_info info) {
  int32_t descriptor;
  if (!arguments(env, info, 1, &descriptor, NULL, NULL)) return NULL;
  if (close(descriptor) < 0 && errno != EINTR) return fail(env, "close", errno);
  return NULL;
}

/* Gives the pages of all arenas that hold no allocated block back to the kernel (malloc_trim(3), glibc alone has it). */
static napi_value trim_heap(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return NULL;
}

/* Relocations write only to writable segments, so these pages equal those of the file. */
static int release_segments(struct dl_phdr_info *object, size_t size, void *data) {
  (void)size, (void)data;
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W)) continue;
    const size_t first = (object->dlpi_addr + segment->p_vaddr) / page * page;
    madvise((void *)first, object->dlpi_addr + segment->p_vaddr + segment->p_memsz - first, MADV_DONTNEED);
  }
  return 0;
}

/* Unmaps the code and constants of the program and its libraries. The next access maps a page again, from the page cache. */
static napi_value release_program_pages(napi_env env, napi_callback_info info) {
  (void)env, (void)info;
  dl_iterate_phdr(release_segments, NULL);
  return NULL;
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    napi_callback function;
  } functions[] = {
      {"openSocket", open_socket},   {"portId", port_id},
      {"setOption", set_option},     {"getOption", get_option},
      {"dropped", dropped},          {"send", send_datagram},
      {"receive", receive_datagram}, {"close", close_socket},
      {"attachFilter", attach_filter}, {"querySocketOption", query_socket_option},
      {"trimHeap", trim_heap},       {"releaseProgramPages", release_program_pages},
      {"readOption", read_option},   {"listenAt", listen_at},
      {"connectTo", connect_to},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    if (napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL, &function) !=
            napi_ok ||
        napi_set_named_property(env, exports, functions[i].name, function) != napi_ok)
      return NULL;
  }
  return exports;
}
