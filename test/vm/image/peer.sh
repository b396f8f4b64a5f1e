# Runs on the host after the packages are installed; $1 is the directory of the new system.
# Unpacks the Python original to $1/opt/nvme-stas-python. It is not installed: it owns the same
# files as the package under test. Its Debian packages are in the list of what is installed.
set -e
cd "$1/tmp"
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q download nvme-stas
dpkg-deb -x nvme-stas_*.deb "$1/opt/nvme-stas-python"
rm nvme-stas_*.deb
# As its installation does.
chroot "$1" python3 -m compileall -q /opt/nvme-stas-python/usr/lib/python3/dist-packages
