#!/usr/bin/perl
# Prints a line for every NVMe/TCP ICReq that crosses the loopback interface: the port it goes to
# and whether the host asks for header and data digests (NVMe over TCP 1.1, ICReq, byte 11).
use strict;
use warnings;
use Socket;

$| = 1;
socket(my $packets, 17, SOCK_RAW, unpack('S', pack('n', 0x0003))) or die "socket: $!\n";
print "ready\n";
while (recv($packets, my $frame, 65536, 0)) {
  my $type = unpack('n', substr($frame, 12, 2));
  my $ip = substr($frame, 14);
  my ($header, $protocol);
  if ($type == 0x0800) {
    $header = (unpack('C', $ip) & 15) * 4;
    $protocol = unpack('C', substr($ip, 9, 1));
  } elsif ($type == 0x86dd) {
    $header = 40;
    $protocol = unpack('C', substr($ip, 6, 1));
  } else {
    next;
  }
  next unless $protocol == 6 && length($ip) > $header + 20;
  my $tcp = substr($ip, $header);
  my $port = unpack('n', substr($tcp, 2, 2));
  my $data = substr($tcp, (unpack('C', substr($tcp, 12, 1)) >> 4) * 4);
  next unless length($data) >= 128 && substr($data, 0, 8) eq pack('CCCCV', 0, 0, 128, 0, 128);
  my $digests = unpack('C', substr($data, 11, 1));
  printf "%d %s %s\n", $port, $digests & 1 ? 'header' : '-', $digests & 2 ? 'data' : '-';
}
