/**
 * Every option and the scenario that shows what it does. option-effects.e2e.ts runs these scenarios;
 * a unit test compares what they show with the option table, so that a new option needs one.
 */
import {
  DC_MANAGEMENT,
  IOC_MANAGEMENT,
  SERVICE_DISCOVERY,
} from '../../../src/config/option-table.ts';
import { addresses } from './addresses.ts';
import { authentication } from './authentication.ts';
import { connections } from './connections.ts';
import { disconnecting } from './disconnecting.ts';
import { discovery } from './discovery.ts';
import { option, type OptionName, type RunnableScenario } from './effect.ts';

export const SCENARIOS: readonly RunnableScenario[] = [
  connections,
  addresses,
  authentication,
  disconnecting,
  discovery,
];

/** A test of another file that shows an option, by the name that it has there. */
interface OtherTest {
  readonly of: readonly OptionName[];
  /** In test/e2e. */
  readonly file: string;
  readonly title: string;
}

export const ELSEWHERE: readonly OtherTest[] = [
  {
    of: [option('stafd', DC_MANAGEMENT, 'persistent-connections')],
    file: 'package.e2e.ts',
    title: 'disconnects discovery controllers when it is removed, if the configuration says so',
  },
  {
    of: [
      option('stafd', DC_MANAGEMENT, 'persistent-connections'),
      option('stafd', DC_MANAGEMENT, 'poll-interval'),
    ],
    file: 'polling.e2e.ts',
    title:
      'are connected, registered with, read and disconnected, again and again, and nobody else hears of it',
  },
  {
    of: [option('stacd', IOC_MANAGEMENT, 'disconnect-limit')],
    file: 'removal-brake.e2e.ts',
    title: 'drops at once what an exclude names, and everything where there is no limit',
  },
  {
    of: [option('stafd', SERVICE_DISCOVERY, 'zeroconf')],
    file: 'mdns.e2e.ts',
    title: 'stay connected when zeroconf is disabled; then none is looked for until it is enabled',
  },
  {
    of: [option('stafd', DC_MANAGEMENT, 'zeroconf-connections-persistence')],
    file: 'mdns.e2e.ts',
    title:
      'stay connected after their goodbye, and age once they are lost: for ever, a while, not at all',
  },
];
