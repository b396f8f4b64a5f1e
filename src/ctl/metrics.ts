/** What a daemon counts, as text; loaded only when that is asked for. Pure. */
import type { MetricFamily } from './daemon.ts';
import { shown } from './text.ts';

/**
 * OpenMetrics 1.0; or the older text format of Prometheus (0.0.4), which node_exporter's textfile
 * collector reads: there, it takes counters that are written as OpenMetrics for values of no type.
 */
export type MetricsFormat = 'openmetrics' | 'prometheus';

function escaped(text: string): string {
  return shown(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"');
}

/** The text, with a newline at its end. */
export function metricsText(families: readonly MetricFamily[], format: MetricsFormat): string {
  const lines = families.flatMap(({ help, name, samples, type }) => {
    const title =
      format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name;
    return [
      `# HELP ${title} ${escaped(help)}`,
      `# TYPE ${title} ${type}`,
      ...samples.map(({ labels, suffix, value }) => {
        const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escaped(text)}"`);
        return `${name}${suffix}{${pairs.join(',')}} ${String(value)}`;
      }),
    ];
  });
  return `${[...lines, ...(format === 'openmetrics' ? ['# EOF'] : [])].join('\n')}\n`;
}
