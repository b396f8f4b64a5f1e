/** Programs for the machine that use src, bundled as the daemons are. */
import { build } from 'esbuild';
import { bundleOptions } from '../../tools/build.ts';

/** To be put into GUEST (lab.ts), where it finds the add-ons of the package that is installed. */
export async function bundleOfSrc(entry: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    ...bundleOptions('test'),
    entryPoints: [entry],
    write: false,
  });
  const [file] = outputFiles;
  if (file === undefined) throw new Error(`${entry} was not bundled`);
  return file.contents;
}
