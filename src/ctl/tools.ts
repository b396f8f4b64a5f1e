/** The two commands as data: which daemon each of them speaks to, and about what. */
export interface Tool {
  readonly name: 'stafctl' | 'stacctl';
  readonly description: string;
  /** The daemon, and its unit. */
  readonly daemon: 'stafd' | 'stacd';
  readonly busName: string;
  readonly path: string;
  readonly interfaceName: string;
  readonly debugInterface: string;
  /** What nvme-stas 2.4.1 has not. */
  readonly v1Interface: string;
  /** What its controllers are, in the plural. */
  readonly controllers: string;
  /** Whether it has discovery log pages. */
  readonly hasLogPages: boolean;
  /** Whether its controllers lead to namespaces. */
  readonly hasNamespaces: boolean;
}

export const stafctl: Tool = {
  name: 'stafctl',
  description: 'Shows what stafd, the finder of NVMe discovery controllers, knows and does.',
  daemon: 'stafd',
  busName: 'org.nvmexpress.staf',
  path: '/org/nvmexpress/staf',
  interfaceName: 'org.nvmexpress.staf',
  debugInterface: 'org.nvmexpress.staf.debug',
  v1Interface: 'org.nvmexpress.staf.v1',
  controllers: 'discovery controllers',
  hasLogPages: true,
  hasNamespaces: false,
};

export const stacctl: Tool = {
  name: 'stacctl',
  description: 'Shows what stacd, the connector to NVMe I/O controllers, knows and does.',
  daemon: 'stacd',
  busName: 'org.nvmexpress.stac',
  path: '/org/nvmexpress/stac',
  interfaceName: 'org.nvmexpress.stac',
  debugInterface: 'org.nvmexpress.stac.debug',
  v1Interface: 'org.nvmexpress.stac.v1',
  controllers: 'I/O controllers',
  hasLogPages: false,
  hasNamespaces: true,
};
