# Runs on the host before the packages are installed; $1 is the directory of the new system.
# The machine boots with an initial RAM disk of our own (customize.sh): the distribution's is
# still built, because the kernel package insists, and is kept small because it is thrown away.
set -e
mkdir -p "$1/etc/initramfs-tools/conf.d"
printf 'MODULES=list\nCOMPRESS=zstd\nRESUME=none\n' >"$1/etc/initramfs-tools/conf.d/small"
