// What the first page will ask is asked by the first script, while the others are still being read. Each answer is used once.

const asked = new Map<string, Promise<Response>>();

function name(address: string): string {
  const { pathname, searchParams } = new URL(address, location.href);
  searchParams.sort();
  return `${pathname}?${searchParams}`;
}

export function askEarly(path: string): void {
  const answer = fetch(path, { credentials: 'same-origin', headers: { 'x-sluicegate-csrf': '1' } });
  // Whoever takes it hears of the failure; where nobody does, nobody needs to.
  answer.catch(() => undefined);
  asked.set(name(path), answer);
}

/** Asks, unless that was done already. After a change, such as signing in, what was answered before it doesn't count. */
export function fetchOnce(request: Request): Promise<Response> {
  if (request.method !== 'GET') asked.clear();
  const at = name(request.url);
  const answer = asked.get(at);
  if (!answer) return fetch(request);
  asked.delete(at);
  return answer;
}
