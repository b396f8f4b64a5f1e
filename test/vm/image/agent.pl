# Runs commands in the machine for the host, over a virtio-serial port. (guest-agent.ts has the
# other end. QEMU's own guest agent stops answering for good when several commands with input run
# at a time, and has to be asked again and again whether a command has ended.)
#
# Frames in both directions: length of the rest (4 bytes), type (1), command's number (4), data.
#   host:  R shell command to run, I input for it, E end of its input, K kill its session, P ping
#   here:  O output, X error output, D it has ended (2 bytes: wait status), P answer to a ping
#
# Invariants:
# - nothing blocks: what cannot be written yet is kept; a command's output is not read while
#   more than a megabyte waits to go to the host;
# - D is the last frame of a command: all that it had written is sent before.
# - the end of a command is seen on a file descriptor of its process. (A handler of SIGCHLD that
#   Perl defers is not run while select waits: a child that ends just before it is not noticed.)
use strict;
use warnings;
use POSIX qw(setsid dup2 _exit);
use Fcntl;

# The port, or, for a test on the host, the file descriptor in the first argument.
my $path = '/dev/virtio-ports/nvme-stas.agent';
my $port;
if (@ARGV) {
    open($port, '+<&=', $ARGV[0]) or die;
    fcntl($port, F_SETFL, O_NONBLOCK);
}
until ($port && fileno $port or sysopen($port, $path, O_RDWR | O_NONBLOCK)) {
    select(undef, undef, undef, 0.05);
}

my ($from_host, $to_host) = ('', '');
my (%commands, %owner);    # owner: file number of a pipe or process -> [number, name]
my $pidfd_open = 434;    # on every architecture
$SIG{PIPE} = 'IGNORE';

sub send_frame {
    my ($type, $number, $data) = @_;
    $to_host .= pack('NaNa*', 5 + length $data, $type, $number, $data);
}

sub close_pipe {
    my ($command, $name) = @_;
    my $pipe = delete $command->{$name} or return;
    delete $owner{ fileno $pipe };
    close $pipe;
}

sub run {
    my ($number, $line) = @_;
    pipe(my $in_read, my $in_write);
    pipe(my $out_read, my $out_write);
    pipe(my $err_read, my $err_write);
    my $pid = fork;
    if (!defined $pid) {
        send_frame('X', $number, "fork: $!\n");
        send_frame('D', $number, pack 'n', 255 << 8);
        return;
    }
    if ($pid == 0) {
        $SIG{PIPE} = 'DEFAULT';
        setsid;
        dup2(fileno $in_read, 0);
        dup2(fileno $out_write, 1);
        dup2(fileno $err_write, 2);
        no warnings 'exec';
        exec { '/bin/sh' } 'sh', '-c', $line;    # all other files are closed on exec
        syswrite(STDERR, "exec: $!\n");
        _exit(127);
    }
    open(my $process, '<&=', syscall($pidfd_open, $pid, 0)) or die "pidfd_open: $!\n";
    my $command = { pid => $pid, in => $in_write, out => $out_read, err => $err_read,
        process => $process, input => '', input_ended => 0 };
    fcntl($command->{$_}, F_SETFL, O_NONBLOCK) for qw(in out err);
    $owner{ fileno $command->{$_} } = [$number, $_] for qw(in out err process);
    $commands{$number} = $command;
}

sub handle {
    my ($type, $number, $data) = @_;
    if ($type eq 'P') { send_frame('P', $number, '') }
    elsif ($type eq 'R') { run($number, $data) }
    else {
        my $command = $commands{$number} or return;    # it has ended
        if ($type eq 'I') { $command->{input} .= $data }
        elsif ($type eq 'E') { $command->{input_ended} = 1 }
        elsif ($type eq 'K') { kill_session($command->{pid}) }
        feed($command);
    }
}

sub kill_session {
    my ($session) = @_;
    for my $stat (glob '/proc/[0-9]*/stat') {
        open(my $file, '<', $stat) or next;
        my $line = <$file> // '';
        # pid (name, which may hold anything) state ppid pgrp session
        kill 'KILL', $1 if $line =~ /^(\d+) \(.*\) \S+ \d+ \d+ (\d+) /s && $2 == $session;
    }
}

sub feed {
    my ($command) = @_;
    return unless $command->{in};
    if (length $command->{input}) {
        my $written = syswrite($command->{in}, $command->{input});
        if (defined $written) { substr($command->{input}, 0, $written) = '' }
        elsif (!$!{EAGAIN} && !$!{EINTR}) { close_pipe($command, 'in'); return }
    }
    close_pipe($command, 'in') if $command->{input_ended} && !length $command->{input};
}

# Sends what a pipe of a command has; at most `$most` reads.
sub forward {
    my ($number, $name, $most) = @_;
    my $command = $commands{$number};
    my $type = $name eq 'out' ? 'O' : 'X';
    while ($command->{$name} && $most-- > 0) {
        my $count = sysread($command->{$name}, my $data, 65536);
        if ($count) { send_frame($type, $number, $data) }
        elsif (defined $count) { close_pipe($command, $name) }
        else { return }    # nothing more for now
    }
}

sub ended {
    my ($number) = @_;
    my $command = $commands{$number};
    waitpid($command->{pid}, 0);
    my $status = $?;
    # A process that it left behind may hold the pipes open: what is in them now is all.
    forward($number, $_, 1 << 20) for qw(out err);
    close_pipe($command, $_) for qw(in out err process);
    delete $commands{$number};
    send_frame('D', $number, pack 'n', $status);
}

sub read_host {
    my $count = sysread($port, $from_host, 65536, length $from_host);
    if (!$count) {
        exit if defined $count && @ARGV;
        # Nobody is connected, which the port says by being readable all the time.
        select(undef, undef, undef, 0.05) if defined $count;
        return;
    }
    while (length $from_host >= 4) {
        my $length = unpack 'N', $from_host;
        last if length $from_host < 4 + $length;
        handle(unpack 'x4aNa*', substr($from_host, 0, 4 + $length, ''));
    }
}

sub write_host {
    my $count = syswrite($port, $to_host, 32768);
    substr($to_host, 0, $count) = '' if $count;
}

while (1) {
    my ($readable, $writable) = ('', '');
    vec($readable, fileno $port, 1) = 1;
    vec($writable, fileno $port, 1) = 1 if length $to_host;
    for my $command (values %commands) {
        vec($writable, fileno $command->{in}, 1) = 1 if $command->{in} && length $command->{input};
        vec($readable, fileno $command->{process}, 1) = 1;
        next if length $to_host > 1 << 20;
        vec($readable, fileno $command->{$_}, 1) = 1 for grep { $command->{$_} } qw(out err);
    }
    next if select($readable, $writable, undef, undef) < 0;
    write_host() if vec($writable, fileno $port, 1);
    for my $file (keys %owner) {
        my ($number, $name) = @{ $owner{$file} // next };
        if ($name eq 'in') { feed($commands{$number}) if vec($writable, $file, 1) }
        elsif (!vec($readable, $file, 1)) { next }
        elsif ($name eq 'process') { ended($number) }
        else { forward($number, $name, 1) }
    }
    read_host() if vec($readable, fileno $port, 1);
    # What has just come about goes out without another turn.
    write_host() if length $to_host;
}
