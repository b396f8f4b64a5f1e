#!/usr/bin/perl
# Prints what sysfs says of every NVMe controller as one JSON document. perl-base only, and one
# process for all of them: under emulation each process costs milliseconds.
use strict;
use warnings;

sub text {
  my ($path) = @_;
  open(my $file, '<', $path) or return undef;
  my $line = <$file>;
  close($file);
  return undef unless defined $line;
  $line =~ s/\s+$//;
  return $line;
}

sub quoted {
  my ($value) = @_;
  return 'null' unless defined $value;
  $value =~ s/(["\\])/\\$1/g;
  $value =~ s/([\x00-\x1f\x7f-\xff])/sprintf('\\u%04x', ord($1))/ge;
  return "\"$value\"";
}

my @attributes = qw(transport address subsysnqn hostnqn hostid state cntrltype dctype cntlid kato
  sqsize queue_count reconnect_delay ctrl_loss_tmo dhchap_secret dhchap_ctrl_secret);
my @controllers;
for my $path (sort glob('/sys/class/nvme/nvme*')) {
  my ($device) = $path =~ m{([^/]+)$};
  my @members = map { "\"$_\":" . quoted(text("$path/$_")) } @attributes;
  my $inode = (stat($path))[1];
  # It went while it was read.
  next unless defined $inode;
  my @children = map { m{([^/]+)$} } glob("$path/nvme*n*");
  my $polled = @children ? text("$path/$children[0]/queue/io_poll") : undef;
  push @members, '"io_poll":' . quoted($polled);
  push @members, "\"device\":\"$device\"", "\"inode\":" . $inode,
    '"namespaces":[' . join(',', map { quoted($_) } @children) . ']';
  push @controllers, '{' . join(',', @members) . '}';
}
print '[' . join(",\n", @controllers) . "]\n";
