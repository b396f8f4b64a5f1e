/**
 * The ESLint rule `local/layers`: every import keeps to the layer table.
 *
 * It looks at static and dynamic imports, re-exports, `require()` and `import('…')` types. What it
 * cannot read (a computed module name) is an error in a governed folder: it could be anything.
 */
import { isBuiltin } from 'node:module';
import { posix, relative, resolve, sep } from 'node:path';
import type { Rule } from 'eslint';
import type { LayerRow, LayerTable } from './layers.ts';

/** What an import names, after resolving. */
export type ImportTarget =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'builtin'; readonly name: string }
  | { readonly kind: 'package'; readonly name: string };

/** Why an import is refused; the text is shown by ESLint. */
export type Refusal = string;

/** Resolves the module name `specifier` written in `file` (repository path). */
export function resolveImport(file: string, specifier: string): ImportTarget {
  if (specifier.startsWith('.')) {
    return { kind: 'file', path: posix.normalize(posix.join(posix.dirname(file), specifier)) };
  }
  if (isBuiltin(specifier)) {
    const name = specifier.startsWith('node:') ? specifier : `node:${specifier}`;
    return { kind: 'builtin', name };
  }
  const parts = specifier.split('/');
  const name = specifier.startsWith('@') ? parts.slice(0, 2).join('/') : (parts[0] ?? specifier);
  return { kind: 'package', name };
}

function fits(pattern: string, path: string): boolean {
  if (pattern.endsWith('*')) return path.startsWith(pattern.slice(0, -1));
  return pattern.endsWith('/') ? path.startsWith(pattern) : path === pattern;
}

/** The row that decides for `file` (repository path), if there is one. */
export function rowOf(table: LayerTable, file: string): LayerRow | undefined {
  return table.rows.find((row) => fits(row.where, file));
}

/** Whether every file of `file`'s folder must fit a row. */
export function isGoverned(table: LayerTable, file: string): boolean {
  return table.governed.some((folder) => fits(folder, file));
}

/** Says why `row` refuses `target`, or undefined if it allows it. */
export function refusal(
  row: LayerRow,
  target: ImportTarget,
  typeOnly: boolean,
): Refusal | undefined {
  switch (target.kind) {
    case 'builtin':
      if (row.builtins === 'any' || row.builtins.includes(target.name)) return undefined;
      return `${row.where} may not import ${target.name}`;
    case 'package':
      if (row.packages.includes(target.name)) return undefined;
      return `${row.where} may not import the package ${target.name}`;
    case 'file': {
      const allowed = [row.where, ...row.imports];
      if (allowed.some((pattern) => fits(pattern, target.path))) return undefined;
      if ((row.typeImports ?? []).some((pattern) => fits(pattern, target.path))) {
        return typeOnly ? undefined : `${row.where} may import only types from ${target.path}`;
      }
      return `${row.where} may not import ${target.path}`;
    }
  }
}

interface Specifier {
  readonly type: string;
  readonly importKind?: string;
  readonly exportKind?: string;
}

/** The shape of the nodes that name a module, of both ESTree and TypeScript's extension of it. */
interface ImportingNode {
  readonly type: string;
  readonly source?: { readonly type: string; readonly value?: unknown } | null;
  readonly importKind?: string;
  readonly exportKind?: string;
  readonly specifiers?: readonly Specifier[];
}

function isTypeOnly(node: ImportingNode): boolean {
  if (node.importKind === 'type' || node.exportKind === 'type') return true;
  const specifiers = node.specifiers ?? [];
  return (
    specifiers.length > 0 &&
    specifiers.every(({ importKind, exportKind }) => (importKind ?? exportKind) === 'type')
  );
}

/**
 * Makes the rule for one table.
 * @param table who may import what
 * @param root absolute path that the table's paths are relative to
 */
export function createLayersRule(table: LayerTable, root: string): Rule.RuleModule {
  return {
    meta: {
      type: 'problem',
      docs: { description: 'Keep imports to the layer table of tools/lint/layers.ts' },
      schema: [],
      messages: {
        refused: '{{reason}} (see tools/lint/layers.ts)',
        noRow: '{{file}} fits no row of the layer table in tools/lint/layers.ts',
        computed: 'A module name must be a literal here, so that its layer can be checked',
      },
    },
    create(context) {
      const file = relative(root, resolve(root, context.filename)).split(sep).join('/');
      const row = rowOf(table, file);
      if (row === undefined) {
        if (!isGoverned(table, file)) return {};
        return {
          Program(node) {
            context.report({ node, messageId: 'noRow', data: { file } });
          },
        };
      }

      function check(node: Rule.Node, specifier: unknown, typeOnly: boolean): void {
        if (row === undefined) return;
        if (typeof specifier !== 'string') {
          context.report({ node, messageId: 'computed' });
          return;
        }
        const reason = refusal(row, resolveImport(file, specifier), typeOnly);
        if (reason !== undefined) context.report({ node, messageId: 'refused', data: { reason } });
      }

      function checkSource(node: Rule.Node): void {
        const importing = node as unknown as ImportingNode;
        if (importing.source === null || importing.source === undefined) return;
        check(node, importing.source.value, isTypeOnly(importing));
      }

      return {
        ImportDeclaration: checkSource,
        ExportNamedDeclaration: checkSource,
        ExportAllDeclaration: checkSource,
        ImportExpression: checkSource,
        TSImportType(node: Rule.Node) {
          const { source } = node as unknown as ImportingNode;
          check(node, source?.value, true);
        },
        TSExternalModuleReference(node: Rule.Node) {
          const { expression } = node as unknown as { expression: { value?: unknown } };
          check(node, expression.value, false);
        },
        CallExpression(node) {
          if (node.callee.type !== 'Identifier' || node.callee.name !== 'require') return;
          const [argument] = node.arguments;
          check(node, argument?.type === 'Literal' ? argument.value : undefined, false);
        },
      };
    },
  };
}
