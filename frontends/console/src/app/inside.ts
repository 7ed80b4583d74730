/** Where to go after the sign-in: a page of this console, and no other site. */
export function inside(next: string | null): string {
  return next && /^\/(?![/\\])/.test(next) ? next : '/overview';
}
