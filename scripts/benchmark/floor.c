// The floor of scripts/bench: sends the same messages as a full sync of kube-ipvs, in 64 KiB batches with one acknowledgement
// each. Prints {"virtualServers": seconds, "addresses": seconds} on one line.
// Usage: floor SERVICES ENDPOINTS address|route, in a fresh network namespace whose loopback is up: the last word is the binding of
//        VIPs; "addresses" is then the time of the routes.
//        floor SERVICES ENDPOINTS address|route --print: writes the messages to standard output instead, for the family number 28
//        and the interface 1; test/benchmark/floor.test.ts compares them with those of kube-ipvs.
#include <arpa/inet.h>
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/if_addr.h>
#include <linux/ip_vs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH_BYTES (64 << 10)

static char batch[BATCH_BYTES + 4096];
static size_t used;
static struct nlmsghdr *last;
static unsigned sequence;
static int prints;

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

static int open_socket(int protocol) {
  if (prints) return -1;
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol), bytes = 4 << 20, one = 1;
  if (fd < 0) fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof one);
  struct sockaddr_nl own = {.nl_family = AF_NETLINK};
  if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0) fail("bind");
  return fd;
}

static void *append(const void *bytes, size_t length) {
  char *at = batch + used;
  memcpy(at, bytes, length);
  memset(at + length, 0, NLMSG_ALIGN(length) - length);
  used += NLMSG_ALIGN(length);
  return at;
}

static void begin(int type, int flags) {
  struct nlmsghdr header = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++sequence};
  last = append(&header, sizeof header);
}

static void end(void) { last->nlmsg_len = batch + used - (char *)last; }

static void attribute(int type, const void *value, size_t length) {
  struct nlattr header = {.nla_len = NLA_HDRLEN + length, .nla_type = type};
  append(&header, sizeof header);
  append(value, length);
}

static struct nlattr *nest(int type) {
  struct nlattr header = {.nla_type = type | NLA_F_NESTED};
  return append(&header, sizeof header);
}

static void end_nest(struct nlattr *nested) { nested->nla_len = batch + used - (char *)nested; }

static void flush(int fd) {
  if (used == 0) return;
  if (prints) {
    fwrite(batch, 1, used, stdout);
    used = 0;
    return;
  }
  last->nlmsg_flags |= NLM_F_ACK;
  if (send(fd, batch, used, 0) != (ssize_t)used) fail("send");
  used = 0;
  for (;;) {
    char answer[8192];
    ssize_t length = recv(fd, answer, sizeof answer, 0);
    if (length < 0) fail("recv");
    struct nlmsghdr *header = (struct nlmsghdr *)answer;
    int error = ((struct nlmsgerr *)NLMSG_DATA(header))->error;
    if (header->nlmsg_type == NLMSG_ERROR && error != 0) {
      errno = -error;
      fail("the kernel refused a message");
    }
    if (header->nlmsg_seq == sequence) return;
  }
}

static void flush_when_full(int fd) {
  if (used >= BATCH_BYTES) flush(fd);
}

static int family_id(int fd, const char *name) {
  if (prints) return 28;
  begin(GENL_ID_CTRL, 0);
  struct genlmsghdr command = {.cmd = CTRL_CMD_GETFAMILY, .version = 1};
  append(&command, sizeof command);
  attribute(CTRL_ATTR_FAMILY_NAME, name, strlen(name) + 1);
  end();
  if (send(fd, batch, used, 0) < 0) fail("send");
  used = 0;
  char answer[8192];
  ssize_t length = recv(fd, answer, sizeof answer, 0);
  for (char *at = answer + NLMSG_HDRLEN + GENL_HDRLEN; at < answer + length;) {
    struct nlattr *header = (struct nlattr *)at;
    if (header->nla_type == CTRL_ATTR_FAMILY_ID) return *(unsigned short *)(at + NLA_HDRLEN);
    at += NLA_ALIGN(header->nla_len);
  }
  fprintf(stderr, "this kernel has no IPVS\n");
  exit(1);
}

static void begin_ipvs(int family, int number) {
  begin(family, 0);
  struct genlmsghdr command = {.cmd = number, .version = IPVS_GENL_VERSION};
  append(&command, sizeof command);
}

static void virtual_server(int service, int complete) {
  unsigned short version = AF_INET, protocol = IPPROTO_TCP, port = htons(80);
  unsigned address[4] = {htonl(0x0a600000u + service)}, none = 0, mask = 0xffffffff;
  struct ip_vs_flags flags = {0, ~0u};
  struct nlattr *nested = nest(IPVS_CMD_ATTR_SERVICE);
  attribute(IPVS_SVC_ATTR_AF, &version, 2);
  attribute(IPVS_SVC_ATTR_PROTOCOL, &protocol, 2);
  attribute(IPVS_SVC_ATTR_ADDR, address, 16);
  attribute(IPVS_SVC_ATTR_PORT, &port, 2);
  if (complete) {
    attribute(IPVS_SVC_ATTR_SCHED_NAME, "rr", 3);
    attribute(IPVS_SVC_ATTR_FLAGS, &flags, sizeof flags);
    attribute(IPVS_SVC_ATTR_TIMEOUT, &none, 4);
    attribute(IPVS_SVC_ATTR_NETMASK, &mask, 4);
  }
  end_nest(nested);
}

static void real_server(int service, int endpoint) {
  unsigned short version = AF_INET, port = htons(8080);
  unsigned address[4] = {htonl(0x0a800000u + (endpoint << 16) + service)}, weight = 1, none = 0;
  unsigned forwarding = IP_VS_CONN_F_MASQ;
  struct nlattr *nested = nest(IPVS_CMD_ATTR_DEST);
  attribute(IPVS_DEST_ATTR_ADDR, address, 16);
  attribute(IPVS_DEST_ATTR_PORT, &port, 2);
  attribute(IPVS_DEST_ATTR_FWD_METHOD, &forwarding, 4);
  attribute(IPVS_DEST_ATTR_WEIGHT, &weight, 4);
  attribute(IPVS_DEST_ATTR_U_THRESH, &none, 4);
  attribute(IPVS_DEST_ATTR_L_THRESH, &none, 4);
  attribute(IPVS_DEST_ATTR_ADDR_FAMILY, &version, 2);
  end_nest(nested);
}

static double send_virtual_servers(int services, int endpoints) {
  int fd = open_socket(NETLINK_GENERIC), family = family_id(fd, IPVS_GENL_NAME);
  double started = seconds();
  for (int service = 1; service <= services; service++) {
    begin_ipvs(family, IPVS_CMD_NEW_SERVICE);
    virtual_server(service, 1);
    end();
    flush_when_full(fd);
  }
  for (int service = 1; service <= services; service++)
    for (int endpoint = 0; endpoint < endpoints; endpoint++) {
      begin_ipvs(family, IPVS_CMD_NEW_DEST);
      virtual_server(service, 0);
      real_server(service, endpoint);
      end();
      flush_when_full(fd);
    }
  flush(fd);
  close(fd);
  return seconds() - started;
}

/* Returns its index. */
static unsigned create_dummy(int fd) {
  if (prints) return 1;
  begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  struct ifinfomsg link = {0};
  append(&link, sizeof link);
  attribute(IFLA_IFNAME, "kube-ipvs0", 11);
  struct nlattr *nested = nest(IFLA_LINKINFO);
  attribute(IFLA_INFO_KIND, "dummy", 6);
  end_nest(nested);
  end();
  flush(fd);
  return if_nametoindex("kube-ipvs0");
}

static void bind_address(unsigned address, unsigned index) {
  begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  struct ifaddrmsg header = {.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_index = index};
  append(&header, sizeof header);
  attribute(IFA_LOCAL, &address, 4);
  attribute(IFA_ADDRESS, &address, 4);
  end();
}

static void bind_route(unsigned address) {
  unsigned loopback = 1, metric = 73;
  begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  struct rtmsg header = {.rtm_family = AF_INET,
                         .rtm_dst_len = 32,
                         .rtm_table = RT_TABLE_LOCAL,
                         .rtm_protocol = 73,
                         .rtm_scope = RT_SCOPE_HOST,
                         .rtm_type = RTN_LOCAL};
  append(&header, sizeof header);
  attribute(RTA_DST, &address, 4);
  attribute(RTA_OIF, &loopback, 4);
  attribute(RTA_PRIORITY, &metric, 4);
  end();
}

static double send_bindings(int services, int routes) {
  int fd = open_socket(NETLINK_ROUTE);
  unsigned index = create_dummy(fd);
  double started = seconds();
  for (int service = 1; service <= services; service++) {
    unsigned address = htonl(0x0a600000u + service);
    if (routes) bind_route(address);
    else bind_address(address, index);
    flush_when_full(fd);
  }
  flush(fd);
  close(fd);
  return seconds() - started;
}

int main(int count, char **arguments) {
  prints = count == 5 && strcmp(arguments[4], "--print") == 0;
  if (count != 4 && !prints) {
    fprintf(stderr, "usage: floor SERVICES ENDPOINTS address|route [--print]\n");
    return 2;
  }
  int services = atoi(arguments[1]);
  double virtual_servers = send_virtual_servers(services, atoi(arguments[2]));
  double addresses = send_bindings(services, strcmp(arguments[3], "route") == 0);
  if (!prints) printf("{\"virtualServers\": %.6f, \"addresses\": %.6f}\n", virtual_servers, addresses);
  return 0;
}
