/**
 * Time spans as people write them: `30`, `72hours`, `5 days`, `3 days 5 hours`, `1:24`, `1m24s`,
 * `1.2 minutes`, `- 1 minute`, `2 days, 4:13:02`. One pass, linear time.
 */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Largest first: units must follow in this order, each at most once. */
const UNITS: readonly { readonly seconds: number; readonly words: readonly string[] }[] = [
  { seconds: DAY, words: ['d', 'dy', 'dys', 'day', 'days'] },
  { seconds: HOUR, words: ['h', 'hr', 'hrs', 'hour', 'hours'] },
  { seconds: MINUTE, words: ['m', 'min', 'mins', 'minute', 'minutes'] },
  { seconds: 1, words: ['s', 'sec', 'secs', 'second', 'seconds'] },
];

/** The longest text that is looked at: no span needs more. */
const MAX_LENGTH = 100;

/** `4:13:02`: the parts from the right are seconds, minutes, hours and days. */
function parseClock(text: string): number | undefined {
  const parts = text.split(':');
  const last = parts.pop() ?? '';
  if (!/^[0-9]{2}(?:\.[0-9]+)?$/.test(last)) return undefined;
  const [first = '', ...middle] = parts;
  if (!middle.every((part) => /^[0-9]{2}$/.test(part))) return undefined;
  switch (parts.length) {
    case 1:
      if (!/^[0-9]{0,2}$/.test(first)) return undefined;
      return Number(first) * MINUTE + Number(last);
    case 2:
      if (!/^[0-9]+$/.test(first)) return undefined;
      return Number(first) * HOUR + Number(middle[0]) * MINUTE + Number(last);
    case 3:
      if (!/^[0-9]+$/.test(first)) return undefined;
      return (
        Number(first) * DAY + Number(middle[0]) * HOUR + Number(middle[1]) * MINUTE + Number(last)
      );
    default:
      return undefined;
  }
}

function parseUnsigned(text: string): number | undefined {
  if (/^(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)$/.test(text)) return Number(text);

  let seconds = 0;
  let at = 0;
  let nextUnit = 0;
  while (at < text.length) {
    const part = /^([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([a-z]+)\s*(?:[,/]\s*)?/.exec(text.slice(at));
    if (part === null) {
      // A clock may stand alone or after days, and ends the span.
      const rest = text.slice(at);
      const clock = nextUnit <= 1 ? parseClock(rest) : undefined;
      const afterDays = nextUnit === 1;
      if (clock === undefined || (afterDays && rest.split(':').length !== 3)) return undefined;
      return seconds + clock;
    }
    const [whole, number, word = ''] = part;
    const unit = UNITS.findIndex(({ words }) => words.includes(word));
    if (unit < nextUnit) return undefined;
    seconds += Number(number) * (UNITS[unit]?.seconds ?? 0);
    nextUnit = unit + 1;
    at += whole.length;
  }
  return nextUnit === 0 ? undefined : seconds;
}

/** Seconds, with a fraction where one was written, negative after a `-`; undefined if it is no span. */
export function parseTimeSpan(text: string): number | undefined {
  const trimmed = text.trim().toLowerCase();
  if (trimmed.length > MAX_LENGTH) return undefined;
  const sign = trimmed.startsWith('-') ? -1 : 1;
  const unsigned = /^[+-]/.test(trimmed) ? trimmed.slice(1).trim() : trimmed;
  const seconds = parseUnsigned(unsigned);
  // Never -0, which prints and compares oddly.
  return seconds === undefined ? undefined : seconds === 0 ? 0 : sign * seconds;
}
