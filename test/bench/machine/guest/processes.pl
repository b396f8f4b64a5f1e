#!/usr/bin/perl
# Prints JSON about each process that is named by its number: memory in kB (smaps_rollup), the CPU
# seconds and the wake-ups (voluntary context switches) of all its threads since its start.
# perl-base only.
use strict;
use warnings;

sub lines {
  open(my $file, '<', $_[0]) or return ();
  return <$file>;
}

my @members;
for my $pid (@ARGV) {
  my %memory = map { /^(Pss|Private_Dirty):\s+(\d+)/ ? ($1, $2) : () } lines("/proc/$pid/smaps_rollup");
  my ($user, $system) = (join('', lines("/proc/$pid/stat")) =~ /.*\) (.*)/s ? split(' ', $1) : ())[11, 12];
  my $wakeups = 0;
  for my $status (glob("/proc/$pid/task/*/status")) {
    /^voluntary_ctxt_switches:\s+(\d+)/ and $wakeups += $1 for lines($status);
  }
  # USER_HZ is 100 on every architecture that has systemd.
  push @members, sprintf('"%d":{"pss":%d,"privateDirty":%d,"cpu":%.2f,"wakeups":%d}',
    $pid, $memory{Pss} // 0, $memory{Private_Dirty} // 0, (($user // 0) + ($system // 0)) / 100, $wakeups);
}
print '{', join(',', @members), "}\n";
