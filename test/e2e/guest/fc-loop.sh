#!/bin/sh
# A Fibre Channel fabric within the machine (nvme-fcloop): a port of the host and two of targets.
# up: all ports, not yet linked; link N: the host sees port N of the targets; down: everything gone.
set -e
ctl=/sys/class/fcloop/ctl
host=0x10001100aa000001,0x20001100aa000001
names() {
  echo "$1wwnn=${2%,*},$1wwpn=${2#*,}"
}
target() {
  names '' "0x10001100ab00000$1,0x20001100ab00000$1"
}
case $1 in
up)
  modprobe -a nvme-fc nvmet-fc nvme-fcloop
  names '' $host >$ctl/add_local_port
  target 1 >$ctl/add_target_port
  target 2 >$ctl/add_target_port
  ;;
link)
  # NVMe target and discovery service are roles of the remote port.
  echo "$(target "$2"),$(names lp $host),roles=0x60" >$ctl/add_remote_port
  ;;
down)
  [ ! -e $ctl ] || modprobe -r nvme-fcloop
  ;;
esac
