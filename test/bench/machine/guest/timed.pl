#!/usr/bin/perl
# Runs a shell command and tells when the kernel's NVMe controllers followed:
#   timed.pl connected|removed COUNT TRSVCID SECONDS COMMAND
# Waits until COUNT controllers of the port TRSVCID are connected (those that are live already count,
# too), or until COUNT were removed after the start, SECONDS at most, and until the command ended.
# Prints JSON: "at", the seconds after the command's start of each; "aen", those of the first
# asynchronous event that the kernel told of, or null; "command": its exit status, its seconds, and
# the CPU seconds of it and its children. perl-base only.
use strict;
use warnings;
use Socket;

my ($what, $count, $port, $limit, $command) = @ARGV;

# Of the monotonic clock; Time::HiRes is not in perl-base. 228 is clock_gettime on x86-64.
sub now {
  my $time = pack('qq', 0, 0);
  syscall(228, 1, $time);
  my ($seconds, $nanoseconds) = unpack('qq', $time);
  return $seconds + $nanoseconds / 1e9;
}

sub text {
  open(my $file, '<', $_[0]) or return '';
  my $text = do { local $/; <$file> } // '';
  $text =~ s/\s+\z//;
  return $text;
}

# AF_NETLINK, NETLINK_KOBJECT_UEVENT, the kernel's group; SO_RCVBUFFORCE.
socket(my $uevents, 16, SOCK_DGRAM, 15) or die "socket: $!\n";
setsockopt($uevents, SOL_SOCKET, 33, pack('i', 64 << 20));
bind($uevents, pack('SSLL', 16, 0, 0, 1)) or die "bind: $!\n";

my (%live, %of_port);
for my $path (glob('/sys/class/nvme/nvme*')) {
  my ($device) = $path =~ m{([^/]+)$};
  # Not `address`: its reader may end the machine while a controller is removed.
  next unless text("$path/uevent") =~ /^NVME_TRSVCID=$port$/m;
  $of_port{$device} = 1;
  $live{$device} = 1 if $what eq 'connected' && text("$path/state") eq 'live';
}

my $begin = now();
my @at = (0) x keys %live;
my $child = fork() // die "fork: $!\n";
if ($child == 0) {
  open(STDOUT, '>&', \*STDERR);
  exec('sh', '-c', $command);
  die "sh: $!\n";
}
my ($ended, $status, $cpu, $removed, $aen) = (undef, undef, 0, 0, undef);
my $enough = sub { ($what eq 'removed' ? $removed : scalar keys %live) >= $count };
until (defined $ended && $enough->()) {
  my $left = $begin + $limit - now();
  last if $left <= 0;
  my $bits = '';
  vec($bits, fileno($uevents), 1) = 1;
  # The end of the command is seen at the latest after 20 ms.
  my $pause = defined $ended ? $left : 0.02;
  if (select($bits, undef, undef, $pause < $left ? $pause : $left) > 0) {
    defined recv($uevents, my $message, 16384, 0) or next;
    my $at = now() - $begin;
    my %fields = map { /^([A-Z_]+)=(.*)/s ? ($1, $2) : () } split /\0/, $message;
    next unless ($fields{SUBSYSTEM} // '') eq 'nvme';
    $aen //= $at if defined $fields{NVME_AEN};
    my $device = ($fields{DEVPATH} // '') =~ m{/([^/]+)$} ? $1 : '';
    if ($fields{ACTION} eq 'remove') {
      delete $live{$device};
      if (delete $of_port{$device}) {
        ++$removed;
        push @at, $at if $what eq 'removed';
      }
    } elsif (($fields{NVME_TRSVCID} // '') eq $port) {
      $of_port{$device} = 1;
      next unless ($fields{NVME_EVENT} // '') eq 'connected' && $what eq 'connected';
      push @at, $at unless $live{$device}++;
    }
  }
  if (!defined $ended && waitpid($child, 1) == $child) {
    ($ended, $status) = (now() - $begin, $? >> 8);
    my (undef, undef, $user, $system) = times();
    $cpu = $user + $system;
  }
}
if (!defined $ended) {
  kill('KILL', $child);
  waitpid($child, 0);
}
printf(
  "{\"done\":%s,\"at\":[%s],\"aen\":%s,\"command\":{\"status\":%s,\"seconds\":%s,\"cpu\":%.3f}}\n",
  $enough->() ? 'true' : 'false',
  join(',', map { sprintf('%.3f', $_) } @at),
  defined $aen ? sprintf('%.3f', $aen) : 'null',
  $status // 'null', defined $ended ? sprintf('%.3f', $ended) : 'null', $cpu
);
