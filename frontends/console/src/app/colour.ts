// The console's colours, light and dark: the style sheet has them as variables, the component library as its theme, and charts as
// they are. Every text has at least 4.5 : 1 against what it stands on.

const LIGHT = {
  text: 'rgba(0,0,0,.88)',
  quiet: 'rgba(0,0,0,.7)',
  faint: 'rgba(0,0,0,.62)',
  ground: '#f5f5f5',
  sheet: '#ffffff',
  raised: '#ffffff',
  line: '#f0f0f0',
  edge: '#d9d9d9',
  pressed: '#ffffff',
  fill: 'rgba(0,0,0,.06)',
  chosen: '#e3edfc',
  main: '#1357c4',
  /** What the component library makes its shades of. */
  seed: '#1357c4',
  'main-hover': '#2f6fd6',
  link: '#1357c4',
  'chosen-text': '#1357c4',
  good: '#2b7a0b',
  'good-ground': '#edf8e6',
  warn: '#8a5600',
  'warn-ground': '#fff6e0',
  bad: '#c4171f',
  'bad-ground': '#fff0ef',
};

const DARK: typeof LIGHT = {
  text: 'rgba(255,255,255,.85)',
  quiet: 'rgba(255,255,255,.72)',
  faint: 'rgba(255,255,255,.66)',
  ground: '#000000',
  sheet: '#141414',
  raised: '#1f1f1f',
  line: '#303030',
  edge: '#424242',
  pressed: '#4a4a4a',
  fill: 'rgba(255,255,255,.12)',
  chosen: '#14213a',
  main: '#2f6bd0',
  seed: '#3d78dc',
  'main-hover': '#2a60bb',
  link: '#7db0ff',
  'chosen-text': '#a9cbff',
  good: '#62c434',
  'good-ground': '#162312',
  warn: '#e8a92a',
  'warn-ground': '#2b1f0c',
  bad: '#ff7a84',
  'bad-ground': '#2c1618',
};

export type Colours = typeof LIGHT;

export const FONT =
  "system-ui, -apple-system, 'Segoe UI', Roboto, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif";

export function colours(dark: boolean): Colours {
  return dark ? DARK : LIGHT;
}

/** Gives the style sheet its colours. */
export function paint(dark: boolean): void {
  const { style } = document.documentElement;
  style.colorScheme = dark ? 'dark' : 'light';
  for (const [name, value] of Object.entries(colours(dark))) style.setProperty(`--${name}`, value);
}
