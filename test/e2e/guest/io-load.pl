#!/usr/bin/perl
# Writes and reads the block devices that are named, one process each, with O_DIRECT, until SIGTERM.
# DIRECTORY/DEVICE holds one line: how many writes and reads were done, how many failed, the longest
# time of one in milliseconds, and the last error.
# perl-base only. Buffers need no alignment to blocks: nvme asks for four bytes (Linux 6.0).
use strict;
use warnings;
use Fcntl qw(O_RDWR O_CREAT O_TRUNC O_DIRECT SEEK_SET);

my ($directory, @devices) = @ARGV;
my $size = 4096;

# Of the monotonic clock; Time::HiRes is not in perl-base. 228 is clock_gettime on x86-64.
sub milliseconds {
  my $time = pack('qq', 0, 0);
  syscall(228, 1, $time);
  my ($seconds, $nanoseconds) = unpack('qq', $time);
  return $seconds * 1000 + int($nanoseconds / 1e6);
}

sub load {
  my ($device) = @_;
  my ($count, $errors, $longest, $last) = (0, 0, 0, '');
  sysopen(my $note, "$directory/$device", O_RDWR | O_CREAT | O_TRUNC) or die "$device: $!\n";
  sysopen(my $block, "/dev/$device", O_RDWR | O_DIRECT) or die "/dev/$device: $!\n";
  my $data = 'x' x $size;
  for (;; select(undef, undef, undef, 0.25)) {
    for my $write (1, 0) {
      my $begun = milliseconds();
      sysseek($block, $size * ($count % 1024), SEEK_SET);
      my $done = $write ? syswrite($block, $data, $size) : sysread($block, my $read, $size);
      my $ms = milliseconds() - $begun;
      $longest = $ms if $ms > $longest;
      if (defined $done && $done == $size) { $count++ }
      else { $errors++; $last = $! }
    }
    sysseek($note, 0, SEEK_SET);
    syswrite($note, sprintf("%-20s %10d %10d %10d %-40.40s\n", $device, $count, $errors, $longest, $last));
  }
}

my @children;
for my $device (@devices) {
  my $child = fork // die "fork: $!\n";
  if ($child == 0) { load($device) }
  push @children, $child;
}
waitpid($_, 0) for @children;
