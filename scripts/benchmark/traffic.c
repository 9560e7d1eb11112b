// One measurement of scripts/bench --traffic: sends UDP packets or opens TCP connections from one network namespace to another.
// One thread holds the sockets of both ends, so no measurement contains a switch between processes, and one system call sends
// many packets. Prints the microseconds of one unit, the median of all batches; fails if a packet does not arrive.
// Usage: traffic KIND CLIENT SERVER SOURCE FIRST-PORT ADDRESS PORT OWN-PORT
//   KIND            packet: packets of one UDP flow that had a reply; flow: the first packets of 8,000 UDP flows;
//                   connection: TCP connect, two bytes, close
//   CLIENT, SERVER  names of network namespaces (ip netns)
//   SOURCE          an IPv4 address of the client
//   FIRST-PORT      the first of 8,000 (flow) or 1,000 (connection) ports of the client, one after the other; no run may use
//                   those of an earlier one, because IPVS delays a connection that it takes for an old one
//   ADDRESS PORT    where the client sends, IPv4
//   OWN-PORT        the port of the server in its namespace
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Packets of one system call. */
#define BATCH 200
#define BATCHES 200
#define FLOW_BATCHES 40
#define CONNECTIONS 20
#define CONNECTION_BATCHES 50

static const char *client_namespace, *server_namespace;
static struct sockaddr_in source = {.sin_family = AF_INET};
static struct sockaddr_in target = {.sin_family = AF_INET};
static int first_port;
static struct sockaddr_in own = {.sin_family = AF_INET};

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static int ascending(const void *one, const void *other) {
  double difference = *(const double *)one - *(const double *)other;
  return (difference > 0) - (difference < 0);
}

static double median(double *values, int count) {
  qsort(values, count, sizeof *values, ascending);
  return values[count / 2];
}

static void enter(const char *name) {
  char path[256];
  snprintf(path, sizeof path, "/run/netns/%s", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || setns(fd, CLONE_NEWNET) < 0) fail(path);
  close(fd);
}

static int connected_client(int type) {
  int fd = socket(AF_INET, type, 0);
  if (fd < 0) fail("socket");
  if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0) fail("bind the client");
  if (connect(fd, (struct sockaddr *)&target, sizeof target) < 0) fail("connect");
  return fd;
}

/* Leaves the process in the namespace of the client. */
static int open_server(int type) {
  enter(server_namespace);
  int fd = socket(AF_INET, type, 0), bytes = 4 << 20, one = 1;
  struct timeval patience = {.tv_sec = 5};
  if (fd < 0) fail("socket");
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  if (bind(fd, (struct sockaddr *)&own, sizeof own) < 0) fail("bind");
  if (type == SOCK_STREAM && listen(fd, 128) < 0) fail("listen");
  enter(client_namespace);
  return fd;
}

/* The microseconds of one packet. */
static double send_batch(int client, int server, struct mmsghdr *messages) {
  static char bytes[BATCH][64];
  struct iovec parts[BATCH];
  struct mmsghdr received[BATCH] = {0};
  double started = microseconds();
  for (int sent = 0; sent < BATCH;) {
    int more = sendmmsg(client, messages + sent, BATCH - sent, 0);
    if (more < 0) fail("send");
    sent += more;
  }
  double spent = microseconds() - started;
  for (int packet = 0; packet < BATCH; packet++) {
    parts[packet] = (struct iovec){bytes[packet], sizeof bytes[packet]};
    received[packet].msg_hdr = (struct msghdr){.msg_iov = &parts[packet], .msg_iovlen = 1};
  }
  for (int arrived = 0; arrived < BATCH;) {
    int more = recvmmsg(server, received + arrived, BATCH - arrived, MSG_WAITFORONE, NULL);
    if (more < 0) fail("a packet did not arrive");
    arrived += more;
  }
  return spent / BATCH;
}

/* After it both connection tables know a reply. */
static void exchange(int client, int server) {
  char bytes[64];
  struct sockaddr_in from;
  socklen_t length = sizeof from;
  if (send(client, "hi", 2, 0) != 2) fail("send");
  if (recvfrom(server, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length) != 2) fail("receive");
  if (sendto(server, "hi", 2, 0, (struct sockaddr *)&from, length) != 2) fail("reply");
  if (recv(client, bytes, sizeof bytes, 0) != 2) fail("receive the reply");
}

static double packets(void) {
  int server = open_server(SOCK_DGRAM), client = connected_client(SOCK_DGRAM);
  struct iovec payload = {"hi", 2};
  struct mmsghdr messages[BATCH] = {0};
  double spent[BATCHES];
  for (int packet = 0; packet < BATCH; packet++)
    messages[packet].msg_hdr = (struct msghdr){.msg_iov = &payload, .msg_iovlen = 1};
  exchange(client, server);
  send_batch(client, server, messages);
  for (int batch = 0; batch < BATCHES; batch++) spent[batch] = send_batch(client, server, messages);
  return median(spent, BATCHES);
}

struct packet {
  struct iphdr ip;
  struct udphdr udp;
  char payload[2];
};

/* The kernel fills in the checksum of the header; the UDP checksum 0 means none. */
static struct packet first_packet(int flow) {
  return (struct packet){
      .ip = {.version = 4,
             .ihl = sizeof(struct iphdr) / 4,
             .tot_len = htons(sizeof(struct packet)),
             .ttl = 64,
             .protocol = IPPROTO_UDP,
             .saddr = source.sin_addr.s_addr,
             .daddr = target.sin_addr.s_addr},
      .udp = {.source = htons(first_port + flow),
              .dest = target.sin_port,
              .len = htons(sizeof(struct udphdr) + 2)},
      .payload = {'h', 'i'},
  };
}

/* A raw socket has packets of any source port in one system call. */
static double flows(void) {
  int server = open_server(SOCK_DGRAM), client = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  static struct packet first[BATCH];
  struct iovec parts[BATCH];
  struct mmsghdr messages[BATCH] = {0};
  double spent[FLOW_BATCHES];
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr = target.sin_addr};
  if (client < 0) fail("raw socket");
  for (int batch = 0; batch < FLOW_BATCHES; batch++) {
    for (int packet = 0; packet < BATCH; packet++) {
      first[packet] = first_packet(batch * BATCH + packet);
      parts[packet] = (struct iovec){&first[packet], sizeof first[packet]};
      messages[packet].msg_hdr =
          (struct msghdr){.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &parts[packet], .msg_iovlen = 1};
    }
    spent[batch] = send_batch(client, server, messages);
  }
  return median(spent, FLOW_BATCHES);
}

static void connect_once(int server, int port) {
  char bytes[64];
  source.sin_port = htons(port);
  int client = connected_client(SOCK_STREAM), accepted = accept(server, NULL, NULL);
  if (accepted < 0) fail("accept");
  if (send(client, "hi", 2, 0) != 2) fail("send");
  if (recv(accepted, bytes, sizeof bytes, 0) != 2) fail("receive");
  close(client);
  if (recv(accepted, bytes, sizeof bytes, 0) != 0) fail("receive the end");
  close(accepted);
}

static double connections(void) {
  int server = open_server(SOCK_STREAM);
  double spent[CONNECTION_BATCHES];
  for (int batch = 0; batch < CONNECTION_BATCHES; batch++) {
    double started = microseconds();
    for (int connection = 0; connection < CONNECTIONS; connection++)
      connect_once(server, first_port + batch * CONNECTIONS + connection);
    spent[batch] = (microseconds() - started) / CONNECTIONS;
  }
  return median(spent, CONNECTION_BATCHES);
}

static void read_address(struct sockaddr_in *into, const char *text) {
  if (inet_pton(AF_INET, text, &into->sin_addr) == 1) return;
  fprintf(stderr, "traffic: invalid IPv4 address %s\n", text);
  exit(2);
}

int main(int arguments, char **argument) {
  if (arguments != 9) {
    fprintf(stderr, "usage: traffic KIND CLIENT SERVER SOURCE FIRST-PORT ADDRESS PORT OWN-PORT\n");
    return 2;
  }
  const char *kind = argument[1];
  client_namespace = argument[2];
  server_namespace = argument[3];
  read_address(&source, argument[4]);
  first_port = atoi(argument[5]);
  read_address(&target, argument[6]);
  target.sin_port = htons(atoi(argument[7]));
  own.sin_port = htons(atoi(argument[8]));
  double spent = strcmp(kind, "packet") == 0 ? packets() : strcmp(kind, "flow") == 0 ? flows() : connections();
  printf("%.4f\n", spent);
  return 0;
}
