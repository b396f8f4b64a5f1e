/**
 * `npm run demo`: shows the main job on a real kernel, in the virtual machine. What is printed is
 * what happened: device names and times are read from the machine as it runs.
 */
import {
  entries,
  openLab,
  liveDc,
  liveIo,
  LOCAL_PORT,
  stafdConf,
  subsystemNqn,
  subsystems,
  type KernelView,
  type Lab,
} from '../test/e2e/lab.ts';

const COUNT = 4;

function say(line = ''): void {
  process.stdout.write(`${line}\n`);
}

function heading(text: string): void {
  say();
  say(`── ${text} ${'─'.repeat(Math.max(0, 74 - text.length))}`);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function showController({ address, device, state, subsysnqn }: KernelView): void {
  say(`  /dev/${device.padEnd(6)} ${(state ?? '').padEnd(5)} ${subsysnqn ?? ''}`);
  say(`               ${address ?? ''}`);
}

/** Carries out `change`, and measures until the kernel shows what follows of it. */
async function timed(
  here: Lab,
  change: () => Promise<unknown>,
  what: string,
  condition: (all: readonly KernelView[]) => boolean,
): Promise<{ readonly ms: number; readonly kernel: readonly KernelView[] }> {
  const begun = performance.now();
  await change();
  const kernel = await here.kernelUntil(what, condition, 120_000);
  return { ms: performance.now() - begun, kernel };
}

async function show(here: Lab, command: string): Promise<void> {
  say(`$ ${command}`);
  say((await here.machine.sh(command)).trimEnd());
}

async function demonstrate(here: Lab): Promise<void> {
  await here.reset();

  heading('1. The storage');
  await here.targets({ ports: [LOCAL_PORT], subsystems: subsystems(COUNT + 1) });
  await here.addDc({ entries: entries(COUNT), dctype: 'cdc' });
  say(`The kernel's NVMe/TCP target at 127.0.0.1:4420 has ${String(COUNT + 1)} subsystems:`);
  for (let index = 0; index <= COUNT; index += 1) say(`  ${subsystemNqn(index)}`);
  say(`A discovery controller at 127.0.0.1:8009 lists the first ${String(COUNT)} of them.`);

  heading('2. The daemons start');
  await here.configure('stafd', stafdConf('transport=tcp;traddr=127.0.0.1'));
  say('/etc/stas/stafd.conf names the discovery controller:');
  say('  controller = transport=tcp;traddr=127.0.0.1');
  say('$ systemctl start stafd stacd');
  const start = await timed(
    here,
    () => here.systemctl('start stafd stacd'),
    'all controllers',
    (all) => liveDc(all).length === 1 && liveIo(all).length === COUNT,
  );
  say(`The discovery controller was found, after ${seconds(start.ms)} everything is connected:`);
  for (const controller of liveDc(start.kernel)) showController(controller);
  say('The I/O controllers that it lists:');
  for (const controller of liveIo(start.kernel)) showController(controller);

  heading('3. What the commands show');
  await show(here, 'stafctl ls');
  say();
  await show(here, 'stacctl ls');

  heading('4. A subsystem is added while they run');
  const added = await timed(
    here,
    () => here.dc({ op: 'add-entries', entries: entries(1, '127.0.0.1', COUNT) }),
    'one more',
    (all) => liveIo(all).length === COUNT + 1,
  );
  say(`The discovery log changed; ${seconds(added.ms)} later the new controller is live:`);
  for (const controller of liveIo(added.kernel)) {
    if (controller.subsysnqn === subsystemNqn(COUNT)) showController(controller);
  }

  heading('5. A subsystem is removed while they run');
  const removed = await timed(
    here,
    () => here.dc({ op: 'remove-entries', ids: ['s0'] }),
    'one less',
    (all) => !all.some(({ subsysnqn }) => subsysnqn === subsystemNqn(0)),
  );
  say(`${subsystemNqn(0)} left the discovery log;`);
  say(`${seconds(removed.ms)} later it is disconnected. The others were not touched:`);
  for (const controller of liveIo(removed.kernel)) showController(controller);

  heading('6. The daemons are restarted');
  await here.systemctl('restart stafd stacd');
  await here.listUntil(
    'stacctl',
    (all) => all.length === COUNT && all.every(({ connected }) => connected === 'True'),
  );
  const after = await here.kernel();
  const same = JSON.stringify(removed.kernel.map(instance)) === JSON.stringify(after.map(instance));
  if (!same) throw new Error('the restart of the daemons changed a connection');
  say('$ systemctl restart stafd stacd');
  say('Every connection is the same as before: same device, no reconnect.');

  heading('What to do next');
  say('Enter such a machine, with targets and the daemons running: npm run vm');
  say('  in it: stafctl ls, stacctl ls, stafctl adlp,');
  say('         journalctl -u stafd -u stacd, journalctl NVME_SUBSYSNQN=<nqn>');
  say('Make the package for your own machine:                      npm run package');
  say('(The times are those of an emulated machine, about twenty times slower than a real one.)');
}

function instance({ cntlid, device, inode }: KernelView): string {
  return [device, inode, cntlid].join(' ');
}

let here: Lab | undefined;
try {
  say('Shows stafd and stacd at work in a virtual machine; nothing on this host is changed.');
  here = await openLab();
  await demonstrate(here);
} catch (thrown) {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  process.stderr.write(`\nThe demonstration failed: ${message}\n`);
  process.exitCode = 1;
} finally {
  await here?.machine.stop();
}
