#!/bin/sh
# An RDMA device in software (rdma_rxe, RoCE) on an interface that leads nowhere. up ADDRESS; down.
set -e
interface=e2e-rdma
case $1 in
up)
  modprobe -a rdma_rxe dummy
  ip link add $interface type dummy
  ip address add "$2/24" dev $interface
  ip link set $interface up
  rdma link add rxe0 type rxe netdev $interface
  ;;
down)
  ! rdma link show rxe0/1 >/dev/null 2>&1 || rdma link delete rxe0
  ! ip link show $interface >/dev/null 2>&1 || ip link delete $interface
  ;;
esac
