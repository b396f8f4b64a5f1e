#!/bin/sh
# Control requests without starting Node, which takes more than a second in an emulated machine:
#   dc-control.sh SOCKET '{"op":"…"}' …     or requests on stdin, one a line
# Prints each reply on a line. Exit status 0; 1 if a request was refused; 2 without a connection.
# Needs nothing but the perl of Debian's perl-base.
exec perl -MSocket -e '
  my $path = shift;
  my $dc;
  socket($dc, PF_UNIX, SOCK_STREAM, 0) && connect($dc, pack_sockaddr_un($path))
    or do { print STDERR "$path: $!\n"; exit 2 };
  select((select($dc), $| = 1)[0]);
  my $refused = 0;
  my $ask = sub {
    print $dc $_[0], "\n";
    defined(my $reply = <$dc>) or do { print STDERR "$path: no reply\n"; exit 2 };
    print $reply;
    $refused = 1 unless $reply =~ /^\{"ok":true/;
  };
  if (@ARGV) { $ask->($_) for @ARGV }
  else { while (<STDIN>) { chomp; $ask->($_) if /\S/ } }
  exit $refused;
' "$@"
