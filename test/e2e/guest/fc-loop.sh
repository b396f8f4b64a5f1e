#!/bin/sh
# A Fibre Channel fabric of two ports within the machine (nvme-fcloop), and the kernel's target
# behind one of them. up: the ports and the target, not yet linked; link: the host sees the target's
# port; down: everything gone.
set -e
ctl=/sys/class/fcloop/ctl
port=/sys/kernel/config/nvmet/ports/900
subsystem=/sys/kernel/config/nvmet/subsystems/$2
host=wwnn=0x10001100aa000001,wwpn=0x20001100aa000001
target=wwnn=0x10001100ab000001,wwpn=0x20001100ab000001
case $1 in
up)
  modprobe -a nvme-fc nvmet-fc nvme-fcloop
  echo $host >$ctl/add_local_port
  echo $target >$ctl/add_target_port
  mkdir -p $port "$subsystem"
  echo fc >$port/addr_trtype
  echo fc >$port/addr_adrfam
  echo nn-0x10001100ab000001:pn-0x20001100ab000001 >$port/addr_traddr
  echo 1 >"$subsystem/attr_allow_any_host"
  ln -s "$subsystem" $port/subsystems/
  ;;
link)
  # NVMe target and discovery service are roles of the remote port.
  echo $target,lpwwnn=0x10001100aa000001,lpwwpn=0x20001100aa000001,roles=0x60 >$ctl/add_remote_port
  ;;
down)
  if [ -d $port ]; then
    rm -f $port/subsystems/*
    rmdir $port
  fi
  [ ! -d "$subsystem" ] || rmdir "$subsystem"
  [ ! -e $ctl ] || modprobe -r nvme-fcloop
  ;;
esac
