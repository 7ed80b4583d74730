// Each style that is written as the console runs carries the page's nonce: the component library forgets it in some of its
// helpers (those that measure and lock scrolling), and the content security policy would leave those out.

export const nonce = document.querySelector<HTMLMetaElement>('meta[name=csp-nonce]')?.content;

if (nonce) {
  const make = document.createElement.bind(document);
  document.createElement = ((name: string, options?: ElementCreationOptions) => {
    const made = make(name, options);
    if (made instanceof HTMLStyleElement) made.nonce = nonce;
    return made;
  }) as typeof document.createElement;
}
