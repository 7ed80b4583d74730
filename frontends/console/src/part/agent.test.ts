import { expect, test } from 'vitest';
import { agentOf } from './agent';

test('browsers are told by what they are, not by what they claim to be as well', () => {
  const cases: [string, string | undefined][] = [
    [
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/146.0.0.0 Safari/537.36',
      'Chrome 146 Linux',
    ],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0.0.0 Safari/537.36 Edg/146.0.0.0',
      'Edge 146 Windows',
    ],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:148.0) Gecko/20100101 Firefox/148.0',
      'Firefox 148 macOS',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1',
      'Safari 19 iPhone',
    ],
    [
      'Mozilla/5.0 (Linux; Android 16; 24129PN74C) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0.0.0 Mobile Safari/537.36 MicroMessenger/8.0.60',
      'wechat 8 Android',
    ],
    ['curl/8.5.0', undefined],
    ['python-requests/2.32', undefined],
  ];
  for (const [said, want] of cases) {
    const it = agentOf(said);
    expect(it && `${it.browser} ${it.version} ${it.system}`, said).toBe(want);
  }
});
