#!/usr/bin/perl
# Prints a line of JSON for everything that NVMe/TCP hosts do on the loopback interface when they
# connect: "open" (a SYN), "icreq" (NVMe/TCP 1.1, 3.6.2.2), "command" (something after the ICReq:
# a probe sends nothing more). What commands say is not looked at: the kernel sends them without a
# copy, and may have overwritten them when they are read here.
use strict;
use warnings;
use Socket qw(:DEFAULT inet_ntop AF_INET6);

$| = 1;
socket(my $packets, 17, SOCK_RAW, unpack('S', pack('n', 0x0003))) or die "socket: $!\n";
# Bursts of connections must fit: SO_RCVBUFFORCE.
setsockopt($packets, SOL_SOCKET, 33, pack('i', 64 << 20));

# By the host's and the controller's end: the sequence number of the first byte, and what was told.
my (%first, %told);

sub event {
  my ($key, $event, @members) = @_;
  my ($host, $from, $address, $port) = split / /, $key;
  print '{"event":"', $event, '","host":"', $host, '","from":', $from, ',"address":"', $address,
    '","port":', $port, (map { ',' . $_ } @members), "}\n";
}

print "ready\n";
for (;;) {
  my $from = recv($packets, my $frame, 65536, 0);
  next unless defined $from;
  # The loopback interface shows every packet twice: sockaddr_ll's sll_pkttype 0 is the arrival.
  next unless unpack('x10C', $from) == 0;
  my $type = unpack('n', substr($frame, 12, 2));
  my $ip = substr($frame, 14);
  my ($header, $protocol, $host, $address);
  if ($type == 0x0800) {
    $header = (unpack('C', $ip) & 15) * 4;
    $protocol = unpack('C', substr($ip, 9, 1));
    ($host, $address) = map { inet_ntop(AF_INET, substr($ip, $_, 4)) } 12, 16;
  } elsif ($type == 0x86dd) {
    $header = 40;
    $protocol = unpack('C', substr($ip, 6, 1));
    ($host, $address) = map { inet_ntop(AF_INET6, substr($ip, $_, 16)) } 8, 24;
  } else {
    next;
  }
  next unless $protocol == 6;
  my $tcp = substr($ip, $header);
  my ($source, $port, $sequence) = unpack('nnN', $tcp);
  my ($size, $flags) = unpack('CC', substr($tcp, 12, 2));
  my $key = "$host $source $address $port";
  if (($flags & 0x12) == 0x02) {
    my $begin = ($sequence + 1) & 0xffffffff;
    # On a slow machine much is sent twice.
    next if defined $first{$key} && $first{$key} == $begin;
    ($first{$key}, $told{$key}) = ($begin, '');
    event($key, 'open');
    next;
  }
  my $data = substr($tcp, ($size >> 4) * 4);
  next unless defined $first{$key} && length($data) > 0;
  my $place = ($sequence - $first{$key}) & 0xffffffff;
  if ($place == 0 && $told{$key} eq '' && substr($data, 0, 8) eq pack('CCCCV', 0, 0, 128, 0, 128)) {
    $told{$key} = 'icreq';
    my $digests = unpack('C', substr($data, 11, 1));
    event($key, 'icreq', '"headerDigest":' . ($digests & 1 ? 'true' : 'false'),
      '"dataDigest":' . ($digests & 2 ? 'true' : 'false'));
  } elsif ($place == 128 && $told{$key} eq 'icreq') {
    $told{$key} = 'command';
    event($key, 'command');
  }
}
