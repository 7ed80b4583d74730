// Where somebody was in a long list, for the way back: with its filters, and as far down.

type Place = { search: string; top: number };

let place: Place | undefined;

export function leavePlace(search: string, top: number): void {
  place = { search, top };
}

/** How far down the list was that one comes back to; nothing for one with other filters. */
export function placeOf(search: string): number | undefined {
  return place?.search === search ? place.top : undefined;
}

/** The address of the list as it was left. */
export function backTo(path: string): string {
  return path + (place?.search ?? '');
}
