// How long a channel takes to answer, and how old that is.

import type { Schemas } from '../api/client';
import type { Formats } from './format_plain';

type Latency = Schemas['Latency'] | null | undefined;

/** Of whichever answered last: it doesn't fall while nobody calls, so it says when it was learnt. */
export function latencyWords(format: Pick<Formats, 'duration' | 'ago'>, latency: Latency): string {
  const known = [latency?.first_content, latency?.whole].flatMap((it) => (it ? [it] : []));
  const newest = known.sort((a, b) => b.at - a.at)[0];
  return newest ? `${format.duration(newest.us / 1000)} (${format.ago(newest.at)})` : '';
}
