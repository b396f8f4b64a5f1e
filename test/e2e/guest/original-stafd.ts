/**
 * A stand-in for nvme-stas 2.4.1's stafd on the system bus, as far as stacd asks it: the original's
 * interface alone, with whatever the file says that is its argument. SIGUSR1: it has changed.
 */
import { readFileSync } from 'node:fs';
import { createSystemBus } from '../../../src/platform/dbus/system-bus.ts';

const NAME = 'org.nvmexpress.staf';
const PATH = '/org/nvmexpress/staf';
const [, , file = ''] = process.argv;

const bus = await createSystemBus();
bus.export({
  path: PATH,
  introspectionXml: `<node><interface name="${NAME}">
    <method name="get_all_log_pages">
      <arg direction="in" type="b" name="detailed"/><arg direction="out" type="s" name="log_pages"/>
    </method>
    <signal name="dc_removed"/>
  </interface></node>`,
  methods: { [`${NAME}.get_all_log_pages`]: () => [readFileSync(file, 'utf8')] },
  properties: {},
});
process.on('SIGUSR1', () => {
  bus.emitSignal(PATH, NAME, 'dc_removed', []);
});
await bus.requestName(NAME);
