/** The texts that the package is made with: its control file, changelog and copyright. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { NativeAddons } from './native.ts';
import { PackageError } from './run.ts';
import { packageName } from './tree.ts';

const maintainer = 'nvme-stas-node developers <nvme-stas-node@example.invalid>';

/** The oldest Node that the programs run on, as [major, minor]. */
const oldestNode = [20, 19] as const;

/** A version of package.json as Debian writes it: a pre-release sorts before its release. */
export function debianVersion(version: string): string {
  return version.replace('-', '~');
}

/**
 * The range of Node versions that the package runs on: from the oldest that the programs take to
 * the end of the major version whose ABI the add-ons were compiled for.
 * @throws {PackageError} the release's Node is too old
 */
export function nodeDepends(nodeVersion: string, suite: string): string {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  const [oldestMajor, oldestMinor] = oldestNode;
  if (major < oldestMajor || (major === oldestMajor && minor < oldestMinor)) {
    const wanted = oldestNode.join('.');
    throw new PackageError(`${suite} has Node ${nodeVersion}; ${wanted} or newer is needed`);
  }
  const from = major === oldestMajor ? oldestNode.join('.') : String(major);
  return `nodejs (>= ${from}), nodejs (<< ${major + 1}~)`;
}

/** The control file. `installedBytes` is the size of what is installed. */
export function controlFile(options: {
  readonly version: string;
  readonly suite: string;
  readonly addons: NativeAddons;
  readonly installedBytes: number;
}): string {
  const { version, suite, addons, installedBytes } = options;
  const depends = [
    nodeDepends(addons.nodeVersion, suite),
    'libnvme1t64 (>= 1.3) | libnvme1 (>= 1.3)',
    addons.depends,
    'default-dbus-system-bus | dbus-system-bus',
    'init-system-helpers (>= 1.54~)',
    'kmod',
    'systemd',
    'udev',
  ];
  return `Package: ${packageName}
Version: ${debianVersion(version)}
Architecture: amd64
Maintainer: ${maintainer}
Installed-Size: ${Math.ceil(installedBytes / 1024)}
Depends: ${depends.join(', ')}
Recommends: avahi-daemon, nvme-cli
Provides: nvme-stas
Conflicts: nvme-stas
Replaces: nvme-stas
Section: net
Priority: optional
Description: NVMe over Fabrics discovery and connection services
 Finds NVMe over Fabrics storage on a network and keeps the host connected
 to it:
 .
  * stafd finds discovery controllers, configured or announced by mDNS,
    connects to them and reads their discovery log pages;
  * stacd connects to the storage subsystems that they name.
 .
 The commands stafctl and stacctl show what the daemons do; stasadm sets the
 host's identity up. Configuration files, D-Bus interfaces and unit names are
 those of nvme-stas, which this package takes the place of.
`;
}

/** The changelog: the entry of this version. */
export function changelog(version: string, suite: string, epoch: number): string {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000');
  return `${packageName} (${debianVersion(version)}) ${suite}; urgency=medium

  * Version ${version}, with add-ons compiled for ${suite}.

 -- ${maintainer}  ${date}
`;
}

/**
 * The copyright file: the project's licence and those of the npm packages that are in the bundles
 * or beside them.
 * @param options.packages folders below node_modules
 */
export async function copyright(options: {
  readonly root: string;
  readonly packages: readonly string[];
}): Promise<string> {
  const { root, packages } = options;
  const parts = [
    `This package is ${packageName}, licensed under the Apache License, Version 2.0, which is in
/usr/share/common-licenses/Apache-2.0 on Debian systems.

It contains parts of the following npm packages.
`,
  ];
  for (const name of [...packages].sort())
    parts.push(await licence(join(root, 'node_modules'), name));
  return parts.join(`\n${'-'.repeat(80)}\n\n`);
}

interface PackageJson {
  readonly version: string;
  readonly license?: string;
  readonly author?: string | { readonly name: string; readonly email?: string };
}

/** Packages whose licence text is in another package of the same project. */
const licenceElsewhere: Readonly<Record<string, string>> = { '@koromix/koffi-linux-x64': 'koffi' };

async function licence(modules: string, name: string): Promise<string> {
  const folder = join(modules, name);
  const about = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as PackageJson;
  const author =
    typeof about.author === 'object'
      ? `${about.author.name}${about.author.email === undefined ? '' : ` <${about.author.email}>`}`
      : about.author;
  const textFolder = join(modules, licenceElsewhere[name] ?? name);
  const file = (await readdir(textFolder)).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
  const text =
    file === undefined
      ? standardText(name, about.license)
      : withoutApacheText(await readFile(join(textFolder, file), 'utf8'));
  const by = author === undefined ? '' : ` by ${author}`;
  return `${name} ${about.version}${by}, licence: ${about.license ?? 'see below'}\n\n${text.replaceAll('\r', '').trim()}\n`;
}

/** Debian has the Apache licence in one place: what a package says besides stays. */
function withoutApacheText(text: string): string {
  if (!text.includes('TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION')) return text;
  const copyrights = text.split('\n').filter((line) => /^\s*Copyright (\(c\) )?\d{4}/i.test(line));
  return [
    ...copyrights.map((line) => line.trim()),
    'Apache License, Version 2.0: /usr/share/common-licenses/Apache-2.0',
  ].join('\n');
}

/**
 * The text of a licence that a package names without giving it.
 * @throws {PackageError} it is not one that is known here
 */
function standardText(name: string, license: string | undefined): string {
  if (license === 'BSD-2-Clause') return bsd2Clause;
  throw new PackageError(
    `node_modules/${name} has no licence text (licence: ${license ?? 'none'})`,
  );
}

const bsd2Clause = `Redistribution and use in source and binary forms, with or without modification, are permitted
provided that the following conditions are met:

1. Redistributions of source code must retain the above copyright notice, this list of conditions
   and the following disclaimer.

2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions
   and the following disclaimer in the documentation and/or other materials provided with the
   distribution.

THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR
IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR
CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE,
DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER IN
CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF THE
USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.`;
