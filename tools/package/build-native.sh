#!/bin/sh
# Compiles the native add-ons inside a root of the release that they are for, where /build holds
# node_modules. Leaves them in /build/out, with the Node version and the libraries they need.
set -eu
export HOME=/build LC_ALL=C.UTF-8
cd /build
mkdir out
node -p process.versions.node >out/node-version

compile() { # package, add-on
  cd "/build/node_modules/$1"
  node ../node-gyp/bin/node-gyp.js rebuild --nodedir=/usr
  strip --strip-unneeded "build/Release/$2.node"
  cp "build/Release/$2.node" /build/out/
  cd /build
  # One that does not load here will not load on the target either.
  node -e "require('$1')"
}
compile udev udev
compile systemd-journald journal_send

# dpkg-shlibdeps wants to be in a source package.
mkdir debian
printf 'Source: addons\n\nPackage: addons\nArchitecture: any\n' >debian/control
dpkg-shlibdeps -O out/*.node prebuilt/*.node | sed -n 's/^shlibs:Depends=//p' >out/depends
