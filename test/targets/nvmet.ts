/**
 * Sets up the NVMe target of the kernel that it runs on: one program for a person or a script in
 * the virtual machine. (Tests use host.ts, which spares them the start of Node.)
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { applySpec, readState } from './apply.ts';
import { describeState } from './plan.ts';
import { type TargetSpec, targetSpec, TargetSpecError } from './spec.ts';

const usage = `usage: nvmet apply FILE|-   make the target as the JSON file says
       nvmet clear          remove all of it
       nvmet show           print what there is, as JSON`;

function runHere(script: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { maxBuffer: 256 << 20 };
    const shell = execFile('sh', ['-s'], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(stderr.trim() === '' ? error.message : stderr.trim()));
    });
    shell.stdin?.end(script);
  });
}

function readSpec(file: string): TargetSpec {
  const text = readFileSync(file === '-' ? 0 : file, 'utf8');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new TargetSpecError('', `not JSON: ${(error as SyntaxError).message}`);
  }
  return targetSpec(document);
}

async function main([command, file]: readonly string[]): Promise<number> {
  switch (command) {
    case 'apply': {
      if (file === undefined) break;
      const started = performance.now();
      const changes = await applySpec(runHere, readSpec(file));
      console.log(`${changes} changes in ${Math.round(performance.now() - started)} ms`);
      return 0;
    }
    case 'clear':
      await applySpec(runHere, { ports: [], subsystems: [] });
      return 0;
    case 'show':
      console.log(JSON.stringify(describeState(await readState(runHere)), undefined, 2));
      return 0;
    default:
  }
  console.error(usage);
  return 2;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`nvmet: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
