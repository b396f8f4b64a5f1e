/**
 * What the kernel shows of the options that a connection was made with. It shows three of them; how
 * many queues there are, and how deep, the controller has a say in, and nothing follows from it.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { OptionChange } from '../../config/connect-option.ts';

/** The attributes of sysfs by the options of the files. */
const ATTRIBUTES = {
  kato: 'kato',
  'reconnect-delay': 'reconnect_delay',
  'ctrl-loss-tmo': 'ctrl_loss_tmo',
} as const;

type ShownOption = keyof typeof ATTRIBUTES;

/** As the files would say it; an option that the kernel does not show is absent. */
export type LiveOptions = Readonly<Partial<Record<ShownOption, string>>>;

const DEVICE = /^nvme[0-9]+$/;
const SHOWN = Object.keys(ATTRIBUTES) as readonly ShownOption[];

/** Of one controller; empty if there is none of this name, or not any more. */
export async function readLiveOptions(device: string, sys = '/sys'): Promise<LiveOptions> {
  if (!DEVICE.test(device)) return {};
  const options: Partial<Record<ShownOption, string>> = {};
  for (const option of SHOWN) {
    try {
      const path = join(sys, 'class', 'nvme', device, ATTRIBUTES[option]);
      const text = (await readFile(path, 'utf8')).trim();
      if (/^(?:off|[0-9]{1,10})$/.test(text)) options[option] = text === 'off' ? '-1' : text;
    } catch {
      // An older kernel does not show it, or the controller is gone: nothing is known of it.
    }
  }
  return options;
}

/** In which options a live connection differs from those that are asked for. */
export function differingOptions(
  live: LiveOptions,
  asked: Readonly<Record<string, string>>,
): readonly OptionChange[] {
  return SHOWN.flatMap((option) => {
    const from = live[option];
    const to = asked[option];
    if (from === undefined || to === undefined || from === asLive(option, to, live)) return [];
    return [{ option, from, to }];
  });
}

/** What the kernel shows of an option that it was given. */
function asLive(option: ShownOption, value: string, live: LiveOptions): string {
  const seconds = Number(value);
  switch (option) {
    case 'kato':
      // I/O controllers get the kernel's own keep-alive instead of none.
      return seconds === 0 ? (live.kato ?? value) : value;
    case 'reconnect-delay':
      return value;
    case 'ctrl-loss-tmo': {
      // It counts attempts, and shows them times their distance.
      const delay = Number(live['reconnect-delay'] ?? 0);
      if (seconds < 0 || delay <= 0) return value;
      return String(Math.ceil(seconds / delay) * delay);
    }
  }
}
