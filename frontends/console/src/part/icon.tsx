// Icons of the component library's set, drawn without the library.

type Drawing = { tag: string; attrs: Record<string, string>; children?: Drawing[] };
/** What a file of the set holds; outlined ones are drawn in one colour. */
export type Outline = { icon: Drawing | ((main: string, second: string) => Drawing) };

export function Icon({ of }: { of: Outline }) {
  if (typeof of.icon === 'function') return null;
  const { attrs, children = [] } = of.icon;
  return (
    <svg className="icon" viewBox={attrs.viewBox} aria-hidden="true" focusable="false">
      {children.map((it) => (
        <path key={it.attrs.d} d={it.attrs.d} />
      ))}
    </svg>
  );
}
