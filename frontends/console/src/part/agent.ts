// What programs say of themselves in `user-agent`, as far as people care: which browser, on what.

/** The first that is found counts: later ones are what others claim to be, too. */
const BROWSERS: [RegExp, string][] = [
  [/\bMicroMessenger\/(\d+)/, 'wechat'],
  [/\bDingTalk\/(\d+)/, 'dingtalk'],
  [/\b(?:Lark|Feishu)\/(\d+)/, 'feishu'],
  [/\b(?:Edg|EdgA|EdgiOS)\/(\d+)/, 'Edge'],
  [/\bOPR\/(\d+)/, 'Opera'],
  [/\bSamsungBrowser\/(\d+)/, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\/(\d+)/, 'Firefox'],
  [/\b(?:Headless)?Chrome\/(\d+)/, 'Chrome'],
  [/\bCriOS\/(\d+)/, 'Chrome'],
  [/\bVersion\/(\d+)\S* (?:Mobile\/\S+ )?Safari\//, 'Safari'],
];

const SYSTEMS: [RegExp, string][] = [
  [/\bWindows\b/, 'Windows'],
  [/\biPad\b/, 'iPad'],
  [/\biPhone\b/, 'iPhone'],
  [/\b(?:HarmonyOS|OpenHarmony)\b/, 'HarmonyOS'],
  [/\bAndroid\b/, 'Android'],
  [/\bMacintosh\b/, 'macOS'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bLinux\b/, 'Linux'],
];

export type Agent = { browser: string; version: string; system?: string };

/** Nothing where it isn't a browser: then its own words are the shortest. */
export function agentOf(said: string): Agent | undefined {
  for (const [pattern, browser] of BROWSERS) {
    const version = pattern.exec(said)?.[1];
    if (version) return { browser, version, system: SYSTEMS.find(([it]) => it.test(said))?.[1] };
  }
  return undefined;
}
