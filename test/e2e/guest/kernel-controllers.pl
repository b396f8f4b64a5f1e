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

# The attribute, of a controller that is live, at once after its state; of another one what it would
# say, since its reader may end the machine while the admin queue is torn down.
sub address {
  my ($path, $state) = @_;
  return text("$path/address") if ($state // '') eq 'live';
  open(my $file, '<', "$path/uevent") or return undef;
  my %said = map { /^NVME_([A-Z_]+)=(.*)$/ ? (lc $1, $2) : () } <$file>;
  close($file);
  return join(',', map { "$_=$said{$_}" }
    grep { defined $said{$_} && $said{$_} !~ /^(?:none|\(null\))$/ }
    qw(traddr trsvcid host_traddr host_iface));
}

sub quoted {
  my ($value) = @_;
  return 'null' unless defined $value;
  $value =~ s/(["\\])/\\$1/g;
  $value =~ s/([\x00-\x1f\x7f-\xff])/sprintf('\\u%04x', ord($1))/ge;
  return "\"$value\"";
}

my @attributes = qw(transport subsysnqn hostnqn hostid cntrltype dctype cntlid kato
  sqsize queue_count reconnect_delay ctrl_loss_tmo dhchap_secret dhchap_ctrl_secret);
my @controllers;
for my $path (sort glob('/sys/class/nvme/nvme*')) {
  my ($device) = $path =~ m{([^/]+)$};
  my $state = text("$path/state");
  my $address = address($path, $state);
  my @members = ('"state":' . quoted($state), '"address":' . quoted($address));
  push @members, map { "\"$_\":" . quoted(text("$path/$_")) } @attributes;
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
