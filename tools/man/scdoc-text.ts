/** Texts as scdoc(5), the format of the manual pages' sources, writes them. */

/** A text as it is: nothing in it is taken for formatting. */
export function plain(text: string): string {
  return text.replace(/[\\*_]/g, '\\$&').replace(/^[#.;|\][`-]/, '\\$&');
}

/** What is typed as it stands. */
export function bold(text: string): string {
  return `*${plain(text)}*`;
}

/** What a value takes the place of. */
export function placeholder(text: string): string {
  return `_${plain(text)}_`;
}

/**
 * What is explained, and below it its paragraphs (already scdoc), all indented by `depth` steps.
 * Ends with an empty line.
 */
export function entry(term: string, paragraphs: readonly string[], depth = 0): string {
  const indent = '\t'.repeat(depth);
  const [first = '', ...rest] = paragraphs.map((paragraph) => `${indent}\t${paragraph}\n`);
  return [`${indent}${term}\n${first}`, ...rest, ''].join('\n');
}

/** A fragment of a sentence as a sentence. */
export function sentence(text: string): string {
  const end = /[.!?]$/.test(text) ? '' : '.';
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${end}`;
}
