/** Joins `stasadm doctor` to this process. Loaded for this command only: it brings the D-Bus library. */
import { release } from 'node:os';
import { screenOf } from '../../ctl/process.ts';
import { createSystemBus } from '../../platform/dbus/system-bus.ts';
import { SystemInterfaces } from '../../platform/interfaces.ts';
import type { DoctorRequest } from './command.ts';
import { gather } from './gather/gather.ts';
import type { World } from './gather/world.ts';
import { runProgram } from './gather/run-program.ts';
import { runDoctor } from './run.ts';

/** Milliseconds; a machine under load is slow, and a person waits for all of it. */
const TIMEOUT = 5000;

/** Resolves with the exit status. */
export function doctorHere(request: DoctorRequest): Promise<number> {
  const { stdout } = process;
  const world: World = {
    root: '',
    isRoot: process.geteuid?.() === 0,
    release: release(),
    sysConf: request.sysConf,
    interfaces: new SystemInterfaces(),
    openBus: () => createSystemBus({ timeoutMs: TIMEOUT }),
    run: (program, args) => runProgram(program, args, TIMEOUT),
    timeoutMs: TIMEOUT,
  };
  return runDoctor(request, {
    // Node is a program of the kind that loads libnvme.
    gather: () => gather(world, process.execPath),
    screen: screenOf(stdout),
    stdout: (text) => void stdout.write(text),
  });
}
