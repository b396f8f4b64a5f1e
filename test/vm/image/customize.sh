# Runs on the host after the packages are installed; $1 is the directory of the new system.
# HOST_NQN, HOST_ID, MACHINE_ID and AGENT (image/agent.pl) are set before this (image.ts).
set -e
root=$1
units=$root/etc/systemd/system

### Kernel modules: leave out what this hardware cannot have.
modules=$(echo "$root"/usr/lib/modules/*)
version=$(basename "$modules")
for directory in sound drivers/gpu drivers/media drivers/net/ethernet drivers/net/wireless \
  drivers/usb drivers/iio drivers/staging drivers/hid drivers/isdn drivers/bluetooth \
  drivers/infiniband/hw drivers/input drivers/platform drivers/ata drivers/i2c drivers/mfd \
  drivers/watchdog drivers/cpufreq drivers/edac drivers/crypto/ccp drivers/char/hw_random \
  drivers/powercap drivers/thermal drivers/hwmon arch/x86/kvm net/bluetooth net/wireless net/mac80211; do
  rm -rf "$modules/kernel/$directory"
done
# What the tests load: without the compression, which is slow on an emulated processor.
find "$modules/kernel/drivers/nvme" "$modules/kernel/drivers/block" "$modules/kernel/fs/configfs" \
  -name '*.ko.xz' -exec xz -d {} + 2>/dev/null || true
chroot "$root" depmod "$version"

### Initial RAM disk: a few modules, one mount. (The distribution's takes 3 s more to boot.)
initrd=$root/tmp/initrd
mkdir -p "$initrd/bin" "$initrd/dev" "$initrd/root" "$initrd/usr/lib"
ln -s usr/lib "$initrd/lib"
cp "$root"/usr/lib/klibc-*.so "$initrd/usr/lib/"
for program in sh mount umount insmod run-init sleep; do
  cp "$root/usr/lib/klibc/bin/$program" "$initrd/bin/"
done
load=
for module in crc32c_generic virtio_pci virtio_blk ext4; do
  # "MODULE: ALL THAT IT NEEDS", the last one to be loaded first; no line if it is built in.
  line=$(grep "/$module\.ko[^:]*:" "$modules/modules.dep") || continue
  files=${line%%:*}
  for needed in ${line#*:}; do files="$needed $files"; done
  for file in $files; do
    name=${file##*/}
    name=${name%%.ko*}
    case " $load " in *" $name "*) continue ;; esac
    case $file in
      *.xz) xz -dc "$modules/$file" >"$initrd/usr/lib/$name.ko" ;;
      *) cp "$modules/$file" "$initrd/usr/lib/$name.ko" ;;
    esac
    load="$load $name"
  done
done
cat >"$initrd/init" <<END
#!/bin/sh
mount -t devtmpfs dev /dev
for module in$load; do insmod /lib/\$module.ko; done
tries=0
until [ -b /dev/vda ] || [ \$tries = 100 ]; do sleep 0.1; tries=\$((tries+1)); done
mount -t ext4 -o rw,noatime /dev/vda /root
# An image that was not built by root has no device files of its own, and init wants a console.
mount -n -o move /dev /root/dev
exec run-init -c /dev/console /root /sbin/init "\$@"
END
chmod 755 "$initrd/init"
chroot "$root" sh -c 'cd /tmp/initrd && find . | cpio --quiet -o -H newc -R 0:0 >/boot/initrd'
rm -rf "$initrd" "$root"/boot/initrd.img-* "$root"/boot/config-* "$root"/boot/System.map-*
mv "$root"/boot/vmlinuz-* "$root/boot/vmlinuz"

### Identity: fixed, so that a test sees the same machine each time; the same files, owners and
### modes as a fresh installation of nvme-cli leaves behind.
echo vm >"$root/etc/hostname"
printf '127.0.0.1 localhost\n127.0.1.1 vm\n::1 localhost ip6-localhost ip6-loopback\n' \
  >"$root/etc/hosts"
echo "$MACHINE_ID" >"$root/etc/machine-id"
if [ -e "$root/etc/nvme/hostnqn" ]; then
  echo "$HOST_NQN" >"$root/etc/nvme/hostnqn"
  echo "$HOST_ID" >"$root/etc/nvme/hostid"
fi
echo '/dev/vda / ext4 noatime 0 0' >"$root/etc/fstab"
: >"$root/etc/resolv.conf"

### Boot: leave out what serves other hardware, people, or maintenance. Everything of NVMe, D-Bus,
### udev and Avahi stays as the distribution has it.
for unit in modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service \
  systemd-logind.service systemd-pstore.service getty@tty1.service serial-getty@ttyS0.service \
  systemd-binfmt.service systemd-update-utmp.service systemd-udev-load-credentials.service \
  systemd-hibernate-clear.service systemd-random-seed.service sys-kernel-debug.mount \
  dev-hugepages.mount sys-fs-fuse-connections.mount dev-mqueue.mount apt-daily.timer \
  apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service \
  systemd-tmpfiles-clean.timer man-db.timer uuidd.socket systemd-ask-password-console.path \
  systemd-ask-password-wall.path; do
  ln -sf /dev/null "$units/$unit"
done
rm -f "$units"/*.wants/remote-fs.target
ln -sf /usr/lib/systemd/system/multi-user.target "$units/default.target"
# `npm run vm` starts this one when a person wants a shell.
mkdir -p "$units/serial-getty@hvc0.service.d"
printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear --noissue hvc0 xterm-256color\nRestart=no\n' \
  >"$units/serial-getty@hvc0.service.d/autologin.conf"
printf '%s\n' "$AGENT" >"$root/usr/lib/nvme-stas-vm-agent"
cat >"$units/nvme-stas-vm-agent.service" <<'END'
[Unit]
Description=Commands of the host
# It outlives what it is asked to stop.
DefaultDependencies=no
After=systemd-udevd.service
Conflicts=shutdown.target
[Service]
ExecStart=/usr/bin/perl /usr/lib/nvme-stas-vm-agent
Environment=HOME=/root LANG=C.UTF-8
Restart=always
KillMode=process
TasksMax=infinity
LimitNOFILE=65536
END
mkdir -p "$units/sysinit.target.wants"
ln -s ../nvme-stas-vm-agent.service "$units/sysinit.target.wants/"
chroot "$root" ldconfig
chroot "$root" systemd-sysusers
chroot "$root" systemd-hwdb update 2>/dev/null || true
touch "$root/etc/.updated" "$root/var/.updated"

### Nothing of the build stays behind. (mmdebstrap removes what is its own, /tmp and apt's lists; it
### must find its settings there, or its last call of apt-get empties the lists of the host.)
rm -rf "$root"/var/log/*
