// Times that the server writes into its words, which are in UTC there.

const UTC = /\b\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z/g;

/** The same words with times as whoever reads them has them. */
export function localTimes(words: string, say: (ms: number) => string): string {
  return words.replace(UTC, (text) => {
    const ms = Date.parse(text);
    return Number.isNaN(ms) ? text : say(ms);
  });
}
