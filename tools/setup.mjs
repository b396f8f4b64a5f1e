#!/usr/bin/env node
/**
 * Makes this host ready: `node tools/setup.mjs [--npm-only]`.
 *
 * Installs the Debian packages that are needed (nothing if they are there), then the
 * npm packages that package-lock.json names (nothing if they are there). Runs before `npm ci`, on
 * whatever Node there is: no dependencies, and no syntax newer than Node 12, so that an old Node
 * gets a sentence and not a SyntaxError.
 *
 * Every failure is a SetupError with one line that says what to do.
 */
import { spawn, spawnSync } from 'child_process';
import { createHash } from 'crypto';
import { accessSync, constants, existsSync, mkdirSync, openSync, readFileSync } from 'fs';
import { createServer } from 'net';
import { homedir } from 'os';
import { delimiter, dirname, join } from 'path';
import { clearInterval, setInterval, setTimeout } from 'timers';
import { fileURLToPath } from 'url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const leastNode = [20, 19];

/** Something is missing that only the person at the keyboard can provide. */
export class SetupError extends Error {}

/**
 * What the virtual machine, the tests and the package need on the host: one of `files` for each, a
 * program or a path.
 * The installed programs count, however they came.
 */
const requirements = [
  { debian: 'qemu-system-x86', files: ['qemu-system-x86_64'] },
  { debian: 'qemu-utils', files: ['qemu-img'] },
  { debian: 'mmdebstrap', files: ['mmdebstrap'] },
  { debian: 'e2fsprogs', files: ['mke2fs'] },
  { debian: 'util-linux', files: ['setpriv'] },
  // For the contract tests, which hold the bus adapter to a real bus of their own.
  { debian: 'dbus-daemon', files: ['dbus-daemon'] },
  // What makes the manual pages, and what shows them.
  { debian: 'scdoc', files: ['scdoc'] },
  { debian: 'groff-base', files: ['groff'] },
  // For the tests of its completion.
  { debian: 'zsh', files: ['zsh'] },
  {
    // Ubuntu does not have the keys of Debian's archive.
    debian: 'debian-archive-keyring',
    files: [
      '/usr/share/keyrings/debian-archive-keyring.gpg',
      '/usr/share/keyrings/debian-archive-keyring.pgp',
    ],
  },
  { debian: 'uidmap', files: ['newuidmap'], ordinaryUserOnly: true },
];

/** Throws unless this is Linux with a Node that can run the rest. */
export function checkHost() {
  if (process.platform !== 'linux') {
    throw new SetupError(`this is ${process.platform}: nvme-stas runs on Linux only`);
  }
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < leastNode[0] || (major === leastNode[0] && minor < leastNode[1])) {
    throw new SetupError(
      `this is Node ${process.versions.node}: install Node ${leastNode.join('.')} or newer`,
    );
  }
}

/** The Debian packages whose programs are not on this host. */
export function missingDebianPackages() {
  const ordinaryUser = process.getuid() !== 0;
  return requirements
    .filter((requirement) => ordinaryUser || !requirement.ordinaryUserOnly)
    .filter((requirement) => !requirement.files.some(isThere))
    .map((requirement) => requirement.debian);
}

/** Installs what is missing of them; `say` takes a line for each step. */
export async function installDebianPackages(say) {
  if (process.arch !== 'x64') {
    throw new SetupError(
      `this is ${process.arch}: the virtual machine needs an x86_64 host (with --npm-only all else can be used)`,
    );
  }
  const missing = missingDebianPackages();
  if (missing.length === 0) return;
  const command = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (!isThere('apt-get')) {
    throw new SetupError(
      `there is no apt-get here: install what Debian calls ${missing.join(', ')}`,
    );
  }
  const asRoot = process.getuid() === 0 ? [] : sudo(command);
  const environment = ['env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C'];
  const apt = [...asRoot, ...environment, 'apt-get', '-y', '-o', 'DPkg::Lock::Timeout=300'];
  const log = logFile('apt.log');
  // A foreign source of packages that cannot be reached is no reason to stop.
  const updated = await run('updating the package lists', [...apt, 'update'], log, say);
  const install = [...apt, 'install', '--no-install-recommends', ...missing];
  if (!(await run(`installing ${missing.join(', ')}`, install, log, say))) {
    const cause = updated ? '' : ' (the package lists could not be updated either)';
    throw new SetupError(`${command} failed${cause}: see ${log}`);
  }
  const still = missingDebianPackages();
  if (still.length > 0) {
    throw new SetupError(`${still.join(', ')} installed, but the programs are not in the PATH`);
  }
}

/**
 * Whether node_modules is what package-lock.json says. npm writes the list of what it installed
 * as the last thing that it does, so an interrupted installation does not match.
 */
export function npmPackagesMatch(directory = root) {
  const installedList = join(directory, 'node_modules', '.package-lock.json');
  if (!existsSync(installedList)) return false;
  let wanted;
  let installed;
  try {
    wanted = JSON.parse(readFileSync(join(directory, 'package-lock.json'), 'utf8')).packages;
    installed = JSON.parse(readFileSync(installedList, 'utf8')).packages;
  } catch {
    return false;
  }
  const same = ([path, entry]) => {
    const has = installed[path];
    if (has === undefined) return entry.optional === true;
    return has.version === entry.version && has.integrity === entry.integrity;
  };
  const extra = Object.keys(installed).some((path) => wanted[path] === undefined);
  return (
    !extra &&
    Object.entries(wanted)
      .filter(([path]) => path !== '')
      .every(same)
  );
}

/** Installs the npm packages unless they are there; `say` takes a line for each step. */
export async function installNpmPackages(say) {
  if (npmPackagesMatch()) return;
  const release = await lock(`npm ${root}`, () => say('waiting for another set-up of this tree'));
  try {
    if (npmPackagesMatch()) return;
    const log = logFile('npm-ci.log');
    const npm = ['npm', 'ci', '--no-audit', '--no-fund'];
    if (!(await run('installing the npm packages', npm, log, say))) {
      throw new SetupError(`npm ci failed: see ${log}`);
    }
  } finally {
    release();
  }
}

/** All of it. */
export async function setup({ npmOnly = false, say = () => undefined } = {}) {
  checkHost();
  if (!npmOnly) await installDebianPackages(say);
  await installNpmPackages(say);
}

/** Whether `name` is a file, or a program in the PATH or the directories that only root has there. */
function isThere(name) {
  if (name.startsWith('/')) return existsSync(name);
  const directories = (process.env.PATH || '').split(delimiter);
  return [...directories, '/usr/sbin', '/sbin'].some((directory) => {
    try {
      accessSync(join(directory, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The words that make a command root's; may ask for a password on a terminal. */
function sudo(command) {
  if (!isThere('sudo')) {
    throw new SetupError(`not root, and there is no sudo: run as root: ${command}`);
  }
  const ask = process.stdin.isTTY ? [] : ['-n'];
  if (spawnSync('sudo', [...ask, '-v'], { stdio: ['inherit', 'inherit', 'ignore'] }).status !== 0) {
    throw new SetupError(`sudo does not let you: run as root: ${command}`);
  }
  return ['sudo', ...ask];
}

/**
 * Runs a command with its output in `log`; one line when it begins, one every 15 s, one at the
 * end. Resolves to whether it succeeded.
 */
function run(what, command, log, say) {
  const started = Date.now();
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
  say(`${what} …`);
  const output = openSync(log, 'a');
  const child = spawn(command[0], command.slice(1), {
    cwd: root,
    stdio: ['ignore', output, output],
  });
  const timer = setInterval(() => say(`${what}: ${seconds()} so far`), 15000);
  return new Promise((resolve) => {
    const end = (succeeded) => {
      clearInterval(timer);
      if (succeeded) say(`${what}: done in ${seconds()}`);
      resolve(succeeded);
    };
    child.on('error', () => end(false));
    child.on('close', (status) => end(status === 0));
  });
}

function logFile(name) {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const directory = process.env.NVME_STAS_CACHE || join(base, 'nvme-stas-node');
  mkdirSync(directory, { recursive: true });
  const path = join(directory, name);
  openSync(path, 'w');
  return path;
}

/** A lock between processes: an abstract socket, which the kernel takes back from the dead. */
async function lock(name, onWait) {
  const address = `\0nvme-stas-node-${createHash('sha256').update(name).digest('hex')}`;
  for (let told = false; ; told = true) {
    const server = createServer();
    const held = await new Promise((resolve, reject) => {
      server.on('listening', () => resolve(true));
      server.on('error', (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
      server.listen(address);
    });
    if (held) return () => server.close();
    if (!told) onWait();
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  setup({
    npmOnly: process.argv.includes('--npm-only'),
    say: (line) => console.error(`setup: ${line}`),
  }).catch((error) => {
    console.error(`setup: ${error instanceof SetupError ? error.message : error.stack}`);
    process.exitCode = 1;
  });
}
