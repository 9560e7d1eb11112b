# A client over TCP and UDP, because Perl starts in a fraction of the time of Node.js, which counts in a guest.
# ask tcp|udp ADDRESS PORT COUNT: sends requests one after the other, each from a new socket, and prints the answers, one a line.
# hold ADDRESS PORT: opens a connection for each `open` of its input, prints the answer, and keeps the connection; `close ANSWER` ends
#   those that gave this answer.
# keep tcp ADDRESS PORT [LOCAL_PORT]: connects; for each line of its input sends a request and prints the answer, or the error that
#   ends the connection.
# keep udp ADDRESS PORT [LOCAL_PORT]: sends every 100 ms from one socket, and prints who answered each time that this changes; `-`
#   after half a second without an answer.
use strict;
use warnings;
use Errno;
use Fcntl qw(F_SETFL O_NONBLOCK);
use Socket qw(:DEFAULT inet_pton pack_sockaddr_in6 AF_INET6 SO_ERROR);

$| = 1;
$SIG{PIPE} = 'IGNORE';
my $patience = 3;

sub code { return (grep { $!{$_} } keys %!)[0] // "$!" }

sub address_of {
  my ($address, $port) = @_;
  return pack_sockaddr_in($port, inet_pton(AF_INET, $address)) if $address !~ /:/;
  return pack_sockaddr_in6($port, inet_pton(AF_INET6, $address));
}

# A socket that does not block, in the family of the address, on a local port where one is given.
sub open_socket {
  my ($type, $address, $local_port) = @_;
  my $family = $address =~ /:/ ? AF_INET6 : AF_INET;
  socket(my $socket, $family, $type, 0) or die "socket: $!";
  setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1) if $type == SOCK_STREAM;
  if ($type == SOCK_DGRAM or $local_port) {
    bind($socket, address_of($family == AF_INET6 ? '::' : '0.0.0.0', $local_port // 0)) or die "bind: $!";
  }
  fcntl($socket, F_SETFL, O_NONBLOCK);
  return $socket;
}

sub bits { my $bits = ''; vec($bits, fileno($_), 1) = 1 for @_; return $bits }

# Whether the socket can be read or, with `write`, written within the patience.
sub is_ready {
  my ($socket, $write) = @_;
  my $ready = bits($socket);
  return $write ? select(undef, $ready, undef, $patience) : select($ready, undef, undef, $patience);
}

# Undefined, with the error in $!, where the connection failed.
sub connected {
  my ($socket) = @_;
  $! = unpack 'i', getsockopt($socket, SOL_SOCKET, SO_ERROR);
  return $! ? undef : 1;
}

sub request {
  my ($address, $connection) = @_;
  my $host = $address =~ /:/ ? "[$address]" : $address;
  return "GET / HTTP/1.1\r\nHost: $host\r\nConnection: $connection\r\n\r\n";
}

sub body { return (split /\r\n\r\n/, $_[0])[1] // '' }

# The socket and the answer; without a socket, what went wrong.
sub open_http {
  my ($address, $port, $connection) = @_;
  my $socket = open_socket(SOCK_STREAM, $address);
  if (!connect($socket, address_of($address, $port))) {
    return undef, code() if !$!{EINPROGRESS};
    return undef, 'Error: no answer' if !is_ready($socket, 1);
    return undef, code() if !connected($socket);
  }
  syswrite($socket, request($address, $connection)) or return undef, code();
  return undef, 'Error: no answer' if !is_ready($socket);
  my $size = sysread($socket, my $answer, 65536);
  return undef, code() if !defined $size;
  return undef, 'Error: connection closed' if $size == 0;
  return $socket, body($answer);
}

sub ask_udp {
  my ($address, $port) = @_;
  my $socket = open_socket(SOCK_DGRAM, $address);
  connect($socket, address_of($address, $port)) or return code();
  syswrite($socket, 'hello') or return code();
  return 'Error: no answer' if !is_ready($socket);
  my $size = sysread($socket, my $answer, 65536);
  return defined $size ? $answer : code();
}

sub ask {
  my ($kind, $address, $port, $count) = @_;
  for (1 .. $count) {
    print $kind eq 'udp' ? ask_udp($address, $port) : (open_http($address, $port, 'close'))[1], "\n";
  }
}

sub hold {
  my ($address, $port) = @_;
  my @held;
  while (my $line = <STDIN>) {
    my ($word, $answer) = split ' ', $line;
    if ($word eq 'open') {
      my ($socket, $given) = open_http($address, $port, 'keep-alive');
      die "$given\n" if !defined $socket;
      push @held, [$socket, $given];
      print "$given\n";
    } elsif ($word eq 'close') {
      @held = grep { $_->[1] ne $answer } @held;
    }
  }
}

# How many lines the input has now; undefined at its end.
sub lines_of_input {
  my $size = sysread(STDIN, my $text, 65536);
  return $size ? $text =~ tr/\n// : undef;
}

sub keep_tcp {
  my ($address, $port, $local_port) = @_;
  my $socket = open_socket(SOCK_STREAM, $address, $local_port);
  connect($socket, address_of($address, $port)) or $!{EINPROGRESS} or return print code(), "\n";
  my ($is_connected, $is_ended, $asked) = (0, 0, 0);
  while (1) {
    my $readable = bits(\*STDIN, $is_connected && !$is_ended ? $socket : ());
    my $writable = $is_connected ? '' : bits($socket);
    select($readable, $writable, undef, undef);
    if (!$is_connected && vec($writable, fileno($socket), 1)) {
      connected($socket) or return print code(), "\n";
      $is_connected = 1;
    }
    if (vec($readable, fileno($socket), 1)) {
      my $size = sysread($socket, my $answer, 65536);
      return print code(), "\n" if !defined $size;
      if ($size == 0) { $is_ended = 1 } else { print body($answer), "\n" }
    }
    if (vec($readable, fileno(STDIN), 1)) { $asked += lines_of_input() // return }
    for (; $is_connected && $asked > 0; $asked--) {
      return print "EPIPE\n" if $is_ended;
      syswrite($socket, request($address, 'keep-alive')) or return print code(), "\n";
    }
  }
}

sub keep_udp {
  my ($address, $port, $local_port) = @_;
  my $socket = open_socket(SOCK_DGRAM, $address, $local_port);
  my ($last, $silent_ticks, $left) = ('', 0, 0.1);
  my $tell = sub { print "$_[0]\n" if $_[0] ne $last; $last = $_[0] };
  while (1) {
    my $readable = bits(\*STDIN, $socket);
    (my $ready, $left) = select($readable, undef, undef, $left);
    if ($ready == 0) {
      # A refusal is told of the packet before; the socket stays.
      send($socket, 'hello', 0, address_of($address, $port));
      $tell->('-') if ++$silent_ticks > 5;
      $left = 0.1;
      next;
    }
    if (vec($readable, fileno(STDIN), 1)) { lines_of_input() // return }
    if (vec($readable, fileno($socket), 1) && defined recv($socket, my $answer, 65536, 0)) {
      $silent_ticks = 0;
      $tell->($answer);
    }
  }
}

sub keep {
  my ($kind, @arguments) = @_;
  return $kind eq 'udp' ? keep_udp(@arguments) : keep_tcp(@arguments);
}

my %commands = (ask => \&ask, hold => \&hold, keep => \&keep);
my ($command, @arguments) = @ARGV;
$commands{$command}->(@arguments);
