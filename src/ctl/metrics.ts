/**
 * What a daemon counts, as text. This module, with the library that writes the text, is loaded only
 * when that is asked for.
 */
import { AggregatorRegistry, Registry, type RegistryContentType } from 'prom-client';
import type { MetricFamily } from './daemon.ts';
import { shown } from './text.ts';

/**
 * OpenMetrics 1.0; or the older text format of Prometheus (0.0.4), which node_exporter's textfile
 * collector reads: there, it takes counters that are written as OpenMetrics for values of no type.
 */
export type MetricsFormat = 'openmetrics' | 'prometheus';

/** The text, with a newline at its end. Rejects if a family is told twice. */
export async function metricsText(
  families: readonly MetricFamily[],
  format: MetricsFormat,
): Promise<string> {
  // The library's own way to print what another process has counted.
  const metrics = families.map(({ help, name, samples, type }) => ({
    // It adds the ending of a counter itself to what is to be OpenMetrics.
    name: format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name,
    type,
    help: shown(help),
    aggregator: 'first',
    values: samples.map(({ labels, suffix, value }) => ({
      labels: Object.fromEntries(Object.entries(labels).map(([key, text]) => [key, shown(text)])),
      value,
      ...(suffix !== '' && { metricName: name + suffix }),
    })),
  }));
  const registry = AggregatorRegistry.aggregate<RegistryContentType>([metrics]);
  if (format === 'openmetrics') registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  // Of no family at all, it leaves a line that is empty.
  return (await registry.metrics()).trimStart();
}
