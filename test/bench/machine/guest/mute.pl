#!/usr/bin/perl
# Accepts connections on the port that is named, and never says a word. perl-base only.
use strict;
use warnings;
use Socket;

socket(my $server, PF_INET, SOCK_STREAM, 6) or die "socket: $!\n";
setsockopt($server, SOL_SOCKET, SO_REUSEADDR, 1);
bind($server, pack_sockaddr_in($ARGV[0], INADDR_ANY)) or die "bind: $!\n";
listen($server, 4096) or die "listen: $!\n";
my @kept;
while (accept(my $connection, $server)) { push @kept, $connection }
