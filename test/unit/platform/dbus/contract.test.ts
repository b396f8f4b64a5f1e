import { describe, expect, it } from 'vitest';
import stacXml from '../../../../dbus/org.nvmexpress.stac.xml';
import stafXml from '../../../../dbus/org.nvmexpress.staf.xml';
import { introspectionOf, parseContract } from '../../../../src/platform/dbus/contract.ts';
import type { Contract } from '../../../../src/platform/dbus/contract.ts';

/** Every member with its signature, as one would write it down. */
function membersOf(contract: Contract): Record<string, string> {
  const members: Record<string, string> = {};
  for (const { name, methods, signals, properties } of contract.interfaces.values()) {
    for (const method of methods.values()) {
      members[`${name}.${method.name}`] = `${method.inSignature} -> ${method.outSignature}`;
    }
    for (const signal of signals.values()) members[`${name}.${signal.name}`] = signal.signature;
    for (const { name: property, type, access } of properties.values()) {
      members[`${name}.${property}`] = `${type} ${access}`;
    }
  }
  return members;
}

describe('the published interfaces', () => {
  it('have the names and signatures of nvme-stas 2.4.1', () => {
    expect(membersOf(parseContract(stafXml))).toEqual({
      'org.nvmexpress.staf.list_controllers': 'b -> aa{ss}',
      'org.nvmexpress.staf.get_log_pages': 'sssssss -> aa{ss}',
      'org.nvmexpress.staf.get_all_log_pages': 'b -> s',
      'org.nvmexpress.staf.log_pages_changed': 'ssssssss',
      'org.nvmexpress.staf.dc_removed': '',
      'org.nvmexpress.staf.v1.get_discovery_state': ' -> s',
      'org.nvmexpress.staf.v1.discovery_state_changed': '',
      'org.nvmexpress.staf.v1.list_controllers': ' -> aa{sv}',
      'org.nvmexpress.staf.v1.explain': ' -> aa{sv}aa{sv}as',
      'org.nvmexpress.staf.v1.controllers_changed': '',
      'org.nvmexpress.staf.v1.metrics': ' -> aa{sv}',
      'org.nvmexpress.staf.v1.preview_reload': ' -> s',
      'org.nvmexpress.staf.v1.read_logs_again': ' -> ',
      'org.nvmexpress.staf.debug.tron': 'b readwrite',
      'org.nvmexpress.staf.debug.log_level': 's read',
      'org.nvmexpress.staf.debug.process_info': ' -> s',
      'org.nvmexpress.staf.debug.controller_info': 'sssssss -> s',
    });
    expect(membersOf(parseContract(stacXml))).toEqual({
      'org.nvmexpress.stac.list_controllers': 'b -> aa{ss}',
      'org.nvmexpress.stac.v1.list_controllers': ' -> aa{sv}',
      'org.nvmexpress.stac.v1.explain': ' -> aa{sv}aa{sv}as',
      'org.nvmexpress.stac.v1.controllers_changed': '',
      'org.nvmexpress.stac.v1.metrics': ' -> aa{sv}',
      'org.nvmexpress.stac.v1.preview_reload': 'aa{ss} -> s',
      'org.nvmexpress.stac.debug.tron': 'b readwrite',
      'org.nvmexpress.stac.debug.log_level': 's read',
      'org.nvmexpress.stac.debug.process_info': ' -> s',
      'org.nvmexpress.stac.debug.controller_info': 'sssssss -> s',
    });
  });

  it('are introspected as they are written, without comments', () => {
    const contract = parseContract(stafXml);
    const text = introspectionOf(contract, ['child']);
    expect(text).not.toContain('<!--');
    expect(text).toContain('  <node name="child"/>\n</node>\n');
    const published = membersOf(parseContract(text.replace('<node name="child"/>', '')));
    expect(published).toMatchObject(membersOf(contract));
  });
});

describe('parseContract', () => {
  const inInterface = (inner: string): string =>
    `<node><interface name="a.b">${inner}</interface></node>`;

  it('reads directions, annotations and their defaults', () => {
    const contract = parseContract(
      inInterface(`
        <annotation name="x" value="y"/>
        <method name="m"><arg type="s"/><arg direction="out" type="(ib)"/><arg type="u"/></method>
        <signal name="s"><arg type="as"/><arg direction="out" type="y"/></signal>
        <property name="p" type="t" access="read">
          <annotation name="org.freedesktop.DBus.Property.EmitsChangedSignal" value="const"/>
        </property>
        <property name="q" type="s" access="write"/>`),
    );
    expect(membersOf(contract)).toEqual({
      'a.b.m': 'su -> (ib)',
      'a.b.s': 'asy',
      'a.b.p': 't read',
      'a.b.q': 's write',
    });
    const properties = contract.interfaces.get('a.b')?.properties;
    expect(properties?.get('p')?.emitsChanged).toBe('const');
    expect(properties?.get('q')?.emitsChanged).toBe('true');
  });

  it.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['text between elements', inInterface('hello')],
    ['an element that is not closed', '<node><interface name="a.b"></node>'],
    ['a stray end', '<node></node></node>'],
    ['two documents', '<node/><node/>'],
    ['another root', '<nodes/>'],
    ['an unknown element', inInterface('<function name="x"/>')],
    ['an element that is not one', inInterface('<method name=x/>')],
    ['a method without a name', inInterface('<method/>')],
    ['a bad interface name', '<node><interface name="ab"/></node>'],
    ['a bad member name', inInterface('<method name="a-b"/>')],
    ['a bad type', inInterface('<method name="m"><arg type="z"/></method>')],
    ['two types in one argument', inInterface('<method name="m"><arg type="ss"/></method>')],
    ['a bad access', inInterface('<property name="p" type="s" access="all"/>')],
    ['a member twice', inInterface('<method name="m"/><signal name="m"/>')],
    ['an interface twice', '<node><interface name="a.b"/><interface name="a.b"/></node>'],
    ['an attribute twice', inInterface('<method name="m" name="n"/>')],
    ['an entity', inInterface('<method name="&lt;"/>')],
  ])('refuses %s', (_, xml) => {
    expect(() => parseContract(xml)).toThrow(/./);
  });
});
