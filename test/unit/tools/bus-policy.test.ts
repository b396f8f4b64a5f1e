import { describe, expect, it } from 'vitest';
import stacPolicy from '../../../dbus/org.nvmexpress.stac.conf';
import stacInterfaces from '../../../dbus/org.nvmexpress.stac.xml';
import stafPolicy from '../../../dbus/org.nvmexpress.staf.conf';
import stafInterfaces from '../../../dbus/org.nvmexpress.staf.xml';

/** One `<allow …/>` of a policy. */
type Rule = Readonly<Record<string, string>>;

/** The rules of the `<policy>` that has the given attribute. */
function rules(policy: string, attribute: string): readonly Rule[] {
  const section = new RegExp(`<policy ${attribute}>(.*?)</policy>`, 's').exec(policy)?.[1] ?? '';
  return [...section.matchAll(/<(allow|deny)\s([^>]*)\/>/g)].map(([, kind = '', text = '']) => {
    const attributes = [...text.matchAll(/(\w+)="([^"]*)"/g)];
    return attributes.reduce<Rule>(
      (rule, [, name = '', value = '']) => ({ ...rule, [name]: value }),
      { kind },
    );
  });
}

/** "interface.method" of every method that the introspection XML defines. */
function methods(xml: string): readonly string[] {
  return [...xml.matchAll(/<interface name="([^"]+)">(.*?)<\/interface>/gs)].flatMap(
    ([, name = '', body = '']) =>
      [...body.matchAll(/<method name="([^"]+)"/g)].map(([, method = '']) => `${name}.${method}`),
  );
}

describe.each([
  ['org.nvmexpress.staf', stafPolicy, stafInterfaces, ['read_logs_again', 'preview_reload']],
  ['org.nvmexpress.stac', stacPolicy, stacInterfaces, ['preview_reload']],
])('the bus policy of %s', (busName, policy, interfaces, rootsOwn) => {
  it("lets everyone call the methods of the contract, except for those that are root's", () => {
    const allowed = rules(policy, 'context="default"').map(
      (rule) => `${rule['send_interface'] ?? ''}.${rule['send_member'] ?? ''}`,
    );
    const refused = methods(interfaces).filter((method) => !allowed.includes(method));
    expect(methods(interfaces).length).toBeGreaterThan(refused.length);
    expect(refused).toEqual(rootsOwn.map((method) => `${busName}.v1.${method}`));
  });

  it('lets everyone read properties, and root alone set them', () => {
    const members = rules(policy, 'context="default"')
      .filter((rule) => rule['send_interface'] === 'org.freedesktop.DBus.Properties')
      .map((rule) => rule['send_member']);
    expect(members).toEqual(['Get', 'GetAll']);
  });

  it('lets others send only to named interfaces of this one service', () => {
    for (const rule of rules(policy, 'context="default"')) {
      expect(rule['send_destination']).toBe(busName);
      expect(rule['send_interface']).toBeDefined();
      expect(rule['own']).toBeUndefined();
    }
  });

  it('lets root own the name and call everything', () => {
    expect(rules(policy, 'user="root"')).toEqual([
      { kind: 'allow', own: busName },
      { kind: 'allow', send_destination: busName },
    ]);
  });
});
