/**
 * The introspection XML that is a service's contract, read into what the bus adapter needs.
 *
 * A reader of its own and not an XML library: the files are the project's, small, and read by every
 * daemon at its start. It understands elements, attributes, comments and a DOCTYPE, and refuses
 * everything else rather than guess.
 */
import { isInterfaceName, isMemberName } from './names.ts';
import { isSingleType, parseSignature } from './signature.ts';

export interface ContractMethod {
  readonly name: string;
  readonly inSignature: string;
  readonly outSignature: string;
}

export interface ContractSignal {
  readonly name: string;
  readonly signature: string;
}

/** `org.freedesktop.DBus.Property.EmitsChangedSignal`; `true` where there is no annotation. */
export type EmitsChanged = 'true' | 'invalidates' | 'const' | 'false';

export interface ContractProperty {
  readonly name: string;
  /** One complete type. */
  readonly type: string;
  readonly access: 'read' | 'write' | 'readwrite';
  readonly emitsChanged: EmitsChanged;
}

export interface ContractInterface {
  readonly name: string;
  readonly methods: ReadonlyMap<string, ContractMethod>;
  readonly signals: ReadonlyMap<string, ContractSignal>;
  readonly properties: ReadonlyMap<string, ContractProperty>;
}

export interface Contract {
  readonly interfaces: ReadonlyMap<string, ContractInterface>;
  /** What stands between `<node>` and `</node>`, without comments. */
  readonly text: string;
}

/** The contract breaks the rules of introspection XML: a mistake of the program, not of a caller. */
export class ContractError extends Error {
  override readonly name = 'ContractError';
}

interface XmlElement {
  readonly tag: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[];
}

const TOKEN = /<(\/?)([A-Za-z_][\w.-]*)((?:\s+[\w:.-]+\s*=\s*"[^"<]*")*)\s*(\/?)>|([^<]+)|</gy;
const ATTRIBUTE = /([\w:.-]+)\s*=\s*"([^"<]*)"/g;

function withoutComments(xml: string): string {
  return xml
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/<!DOCTYPE[^>]*>/, '')
    .replace(/<\?xml[^>]*\?>/, '');
}

function parseAttributes(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (const [, name = '', value = ''] of text.matchAll(ATTRIBUTE)) {
    if (value.includes('&')) throw new ContractError(`an entity in the attribute ${name}`);
    if (attributes.has(name)) throw new ContractError(`the attribute ${name} is there twice`);
    attributes.set(name, value);
  }
  return attributes;
}

function parseElements(xml: string): XmlElement {
  const document: XmlElement = { tag: '', attributes: new Map(), children: [] };
  const open: XmlElement[] = [document];
  for (const [token, closing, tag, attributes = '', empty, text] of xml.matchAll(TOKEN)) {
    const parent = open.at(-1);
    if (parent === undefined) throw new ContractError(`${token} after the end`);
    if (tag === undefined) {
      if (text?.trim() === '') continue;
      throw new ContractError(`unexpected text "${token.trim()}"`);
    }
    if (closing === '/') {
      if (parent.tag !== tag || attributes !== '') throw new ContractError(`unexpected ${token}`);
      open.pop();
      continue;
    }
    const element: XmlElement = { tag, attributes: parseAttributes(attributes), children: [] };
    parent.children.push(element);
    if (empty !== '/') open.push(element);
  }
  const [root, ...others] = document.children;
  if (open.length !== 1 || root === undefined || others.length > 0) {
    throw new ContractError('is not one complete element');
  }
  return root;
}

function attribute(element: XmlElement, name: string): string {
  const value = element.attributes.get(name);
  if (value === undefined) throw new ContractError(`<${element.tag}> has no ${name}`);
  return value;
}

/** The concatenated types of a member's arguments of one direction. */
function signatureOf(member: XmlElement, direction: string, defaultDirection: string): string {
  let signature = '';
  for (const child of member.children) {
    if (child.tag !== 'arg') continue;
    const type = attribute(child, 'type');
    if (!isSingleType(type)) throw new ContractError(`"${type}" is not one complete type`);
    if ((child.attributes.get('direction') ?? defaultDirection) === direction) signature += type;
  }
  parseSignature(signature);
  return signature;
}

const EMITS_CHANGED: readonly EmitsChanged[] = ['true', 'invalidates', 'const', 'false'];
const ACCESS = ['read', 'write', 'readwrite'] as const;

function oneOf<Word extends string>(words: readonly Word[], text: string): Word {
  const word = words.find((candidate) => candidate === text);
  if (word === undefined) throw new ContractError(`"${text}" is not one of ${words.join(', ')}`);
  return word;
}

function parseProperty(element: XmlElement, name: string): ContractProperty {
  const type = attribute(element, 'type');
  if (!isSingleType(type)) throw new ContractError(`"${type}" is not one complete type`);
  const annotation = element.children.find(
    (child) =>
      child.tag === 'annotation' &&
      child.attributes.get('name') === 'org.freedesktop.DBus.Property.EmitsChangedSignal',
  );
  return {
    name,
    type,
    access: oneOf(ACCESS, attribute(element, 'access')),
    emitsChanged: oneOf(
      EMITS_CHANGED,
      annotation === undefined ? 'true' : attribute(annotation, 'value'),
    ),
  };
}

function parseInterface(element: XmlElement): ContractInterface {
  const name = attribute(element, 'name');
  if (!isInterfaceName(name)) throw new ContractError(`"${name}" is not an interface name`);
  const methods = new Map<string, ContractMethod>();
  const signals = new Map<string, ContractSignal>();
  const properties = new Map<string, ContractProperty>();
  for (const member of element.children) {
    if (member.tag === 'annotation') continue;
    const memberName = attribute(member, 'name');
    if (!isMemberName(memberName)) throw new ContractError(`"${memberName}" is not a member name`);
    if (methods.has(memberName) || signals.has(memberName) || properties.has(memberName)) {
      throw new ContractError(`${name}.${memberName} is there twice`);
    }
    switch (member.tag) {
      case 'method':
        methods.set(memberName, {
          name: memberName,
          inSignature: signatureOf(member, 'in', 'in'),
          outSignature: signatureOf(member, 'out', 'in'),
        });
        break;
      case 'signal':
        signals.set(memberName, {
          name: memberName,
          signature: signatureOf(member, 'out', 'out'),
        });
        break;
      case 'property':
        properties.set(memberName, parseProperty(member, memberName));
        break;
      default:
        throw new ContractError(`unexpected <${member.tag}>`);
    }
  }
  return { name, methods, signals, properties };
}

/** Reads a `<node>` document. Throws ContractError or BusError that says what is wrong with it. */
export function parseContract(xml: string): Contract {
  const text = withoutComments(xml);
  const root = parseElements(text);
  if (root.tag !== 'node') throw new ContractError(`<${root.tag}> is not <node>`);
  const interfaces = new Map<string, ContractInterface>();
  for (const child of root.children) {
    if (child.tag !== 'interface') throw new ContractError(`unexpected <${child.tag}>`);
    const parsed = parseInterface(child);
    if (interfaces.has(parsed.name)) throw new ContractError(`${parsed.name} is there twice`);
    interfaces.set(parsed.name, parsed);
  }
  const inner = text.slice(text.indexOf('>') + 1, text.lastIndexOf('<'));
  return { interfaces, text: inner.replace(/^\s*\n/gm, '') };
}

const DOCTYPE =
  '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n' +
  ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n';

const INTROSPECTABLE_AND_PEER = `  <interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect">
      <arg direction="out" type="s" name="xml_data"/>
    </method>
  </interface>
  <interface name="org.freedesktop.DBus.Peer">
    <method name="Ping"/>
    <method name="GetMachineId">
      <arg direction="out" type="s" name="machine_uuid"/>
    </method>
  </interface>
`;

const PROPERTIES = `  <interface name="org.freedesktop.DBus.Properties">
    <method name="Get">
      <arg direction="in" type="s" name="interface_name"/>
      <arg direction="in" type="s" name="property_name"/>
      <arg direction="out" type="v" name="value"/>
    </method>
    <method name="GetAll">
      <arg direction="in" type="s" name="interface_name"/>
      <arg direction="out" type="a{sv}" name="properties"/>
    </method>
    <method name="Set">
      <arg direction="in" type="s" name="interface_name"/>
      <arg direction="in" type="s" name="property_name"/>
      <arg direction="in" type="v" name="value"/>
    </method>
    <signal name="PropertiesChanged">
      <arg type="s" name="interface_name"/>
      <arg type="a{sv}" name="changed_properties"/>
      <arg type="as" name="invalidated_properties"/>
    </signal>
  </interface>
`;

/** What Introspect answers: the contract (if there is an object), the standard interfaces, nodes. */
export function introspectionOf(
  contract: Contract | undefined,
  childNodes: readonly string[],
): string {
  const nodes = childNodes.map((name) => `  <node name="${name}"/>\n`).join('');
  const own = contract === undefined ? '' : PROPERTIES + contract.text;
  return `${DOCTYPE}<node>\n${INTROSPECTABLE_AND_PEER}${own}${nodes}</node>\n`;
}
