# SCTP, which Node.js has not. serve NAME PORT: answers `NAME ADDRESS PORT` over IPv4 and IPv6 until its input ends.
# stay NAME PORT: answers everything that comes on an association with NAME, until it is killed.
# keep ADDRESS PORT: asks on one association for each line of its input, and prints the answers; it ends with the error that ends it.
# ask: its input has lines ADDRESS PORT SECONDS [SOURCE], requests to be sent; its output the answer of each, `refused` or `timeout`.
use strict;
use warnings;
use Errno;
use Fcntl qw(F_SETFL O_NONBLOCK);
use Socket qw(:DEFAULT inet_pton inet_ntop pack_sockaddr_in6 unpack_sockaddr_in6 AF_INET6);

my ($sctp, $ip_recverr, $ipv6_recverr) = (132, 11, 25);
my ($command, @arguments) = @ARGV;

sub listening {
  my ($port) = @_;
  socket(my $listener, AF_INET6, SOCK_STREAM, $sctp) or die "socket: $!";
  bind($listener, pack_sockaddr_in6($port, inet_pton(AF_INET6, '::'))) or die "bind: $!";
  listen($listener, 16) or die "listen: $!";
  return $listener;
}

sub stay {
  my ($name, $port) = @_;
  my $listener = listening($port);
  $SIG{CHLD} = 'IGNORE';
  while (accept(my $connection, $listener)) {
    next if fork;
    while (sysread($connection, my $question, 100)) { syswrite($connection, $name) }
    exit;
  }
}

sub keep {
  my ($address, $port) = @_;
  $| = 1;
  socket(my $socket, AF_INET, SOCK_STREAM, $sctp) or die "socket: $!";
  connect($socket, pack_sockaddr_in($port, inet_pton(AF_INET, $address))) or return print "$!\n";
  while (<STDIN>) {
    my $answer;
    syswrite($socket, '?') and sysread($socket, $answer, 100) or return print $! || 'ended', "\n";
    print "$answer\n";
  }
}

sub serve {
  my ($name, $port) = @_;
  my $listener = listening($port);
  while (1) {
    my $ready = '';
    vec($ready, fileno($listener), 1) = 1;
    vec($ready, fileno(STDIN), 1) = 1;
    select($ready, undef, undef, undef);
    exit if vec($ready, fileno(STDIN), 1);
    my $peer = accept(my $connection, $listener) or next;
    my ($from, $address) = unpack_sockaddr_in6($peer);
    my $source = inet_ntop(AF_INET6, $address);
    $source =~ s/^::ffff://;
    syswrite($connection, "$name $source $from");
  }
}

sub ask {
  my ($address, $port, $seconds, $source) = @_;
  my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
  my $to = inet_pton($family, $address);
  my $place = sub { $family == AF_INET6 ? pack_sockaddr_in6($_[1], $_[0]) : pack_sockaddr_in($_[1], $_[0]) };
  socket(my $socket, $family, SOCK_STREAM, $sctp) or die "socket: $!";
  # No socket can have an IPv6 VIP that is only a local route.
  bind($socket, $place->(inet_pton($family, $source), 0)) or $!{EADDRNOTAVAIL} or die "bind: $!" if defined $source;
  # Without it an ICMP error does not end the attempt; nor does it where connect blocks.
  setsockopt($socket, 0, $ip_recverr, 1) if $family == AF_INET;
  setsockopt($socket, 41, $ipv6_recverr, 1) if $family == AF_INET6;
  fcntl($socket, F_SETFL, O_NONBLOCK);
  connect($socket, $place->($to, $port)) or $!{EINPROGRESS} or return "$!";
  my $waiting = '';
  vec($waiting, fileno($socket), 1) = 1;
  select($waiting, undef, undef, $seconds);
  my $answer;
  return $answer if defined sysread($socket, $answer, 100);
  return $!{ECONNREFUSED} ? 'refused' : $!{EAGAIN} ? 'timeout' : "$!";
}

sub ask_all {
  $| = 1;
  while (my $line = <STDIN>) { print ask(split ' ', $line), "\n" }
}

my %commands = (serve => \&serve, stay => \&stay, keep => \&keep, ask => \&ask_all);
$commands{$command}->(@arguments);
