import { expect, test } from 'vitest';
import { snippets } from './snippet';

test('a name from elsewhere is one word to the shell, whatever is in it', () => {
  const model = `a'b$(touch x)\`id\`"c`;
  const of = (name: string) => snippets('http://gateway', 'sk-1', model).find((it) => it.name === name)?.text;
  expect(of('Claude Code')).toContain(`export ANTHROPIC_MODEL='a'\\''b$(touch x)\`id\`"c'\n`);
  const data = /-d '(.*)'$/s.exec(of('curl') ?? '')?.[1]?.replaceAll("'\\''", "'");
  expect(JSON.parse(data ?? '').model).toBe(model);
});
