// Policies' language for the editor: colours, and the names that a policy can say.

import type { CompletionContext, CompletionResult } from '@codemirror/autocomplete';
import { HighlightStyle, StreamLanguage, type StreamParser } from '@codemirror/language';
import { tags } from '@lezer/highlight';

const KEYWORDS = new Set(
  'let const fn private import as if else switch for in while loop do until break continue return throw try catch this'.split(
    ' ',
  ),
);
const HOOKS = new Set(['admit', 'route', 'on_error', 'finish']);
/** What a policy says and asks. */
const SAID = [
  'deny',
  'prefer',
  'exclude',
  'use_model',
  'fallback',
  'max_output',
  'tag',
  'stop',
  'alert',
  'hash_percent',
  'chance',
  'given',
];
const MEMBERS = [
  'id',
  'model',
  'requested_model',
  'fallbacks',
  'format',
  'stream',
  'input_tokens',
  'input_bound',
  'max_output',
  'choices',
  'tools',
  'images',
  'audio',
  'json_schema',
  'group',
  'group_id',
  'user',
  'key',
  'organization',
  'customer',
  'tags',
  'client_ip',
  'now',
  'seed',
  'text_length',
  'in_group',
  'has_tag',
  'from_network',
  'quota_used',
  'quota_left',
  'text_contains',
  'text_matches',
  'cheapest',
  'fastest',
  'name',
  'provider',
  'upstream_model',
  'priority',
  'weight',
  'input_price',
  'output_price',
  'context_window',
  'latency_ms',
  'in_flight',
  'failures',
  'limit_used',
  'matches',
  'channel',
  'outcome',
  'status',
  'number',
  'elapsed_ms',
  'spend',
  'attempts',
]; // prettier-ignore
const KNOWN = new Set(SAID);

type State = { comment: number; text: boolean };

const parser: StreamParser<State> = {
  name: 'rhai',
  startState: () => ({ comment: 0, text: false }),
  token(stream, state) {
    if (state.comment > 0) {
      while (!stream.eol()) {
        if (stream.match('/*')) state.comment += 1;
        else if (stream.match('*/')) {
          state.comment -= 1;
          if (state.comment === 0) break;
        } else stream.next();
      }
      return 'comment';
    }
    if (state.text) {
      // A text between backticks may run over lines.
      while (!stream.eol())
        if (stream.next() === '`') {
          state.text = false;
          break;
        }
      return 'string';
    }
    if (stream.eatSpace()) return null;
    if (stream.match('//')) {
      stream.skipToEnd();
      return 'comment';
    }
    if (stream.match('/*')) {
      state.comment = 1;
      return 'comment';
    }
    if (stream.eat('`')) {
      state.text = true;
      return 'string';
    }
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/) || stream.match(/^'(?:[^'\\]|\\.)*'?/)) return 'string';
    if (stream.match(/^(?:0x[\da-f_]+|\d[\d_]*(?:\.\d[\d_]*)?)/i)) return 'number';
    const word = stream.match(/^[\p{L}_][\p{L}\p{N}_]*/u) as RegExpMatchArray | null;
    if (word) {
      const name = word[0];
      if (KEYWORDS.has(name)) return 'keyword';
      if (name === 'true' || name === 'false') return 'bool';
      if (KNOWN.has(name) && stream.peek() === '(') return 'standard(variableName)';
      if (HOOKS.has(name) || name.startsWith('test_')) return 'definition(variableName)';
      return 'variableName';
    }
    stream.next();
    return 'operator';
  },
  languageData: { commentTokens: { line: '//', block: { open: '/*', close: '*/' } } },
  tokenTable: {
    'standard(variableName)': tags.standard(tags.variableName),
    'definition(variableName)': tags.definition(tags.variableName),
  },
};

export const rhai = StreamLanguage.define(parser);

export const colours = (dark: boolean) =>
  HighlightStyle.define([
    { tag: tags.keyword, color: dark ? '#c792ea' : '#7b2fa8' },
    { tag: tags.string, color: dark ? '#a5d66f' : '#2f6b12' },
    { tag: [tags.number, tags.bool], color: dark ? '#f7a76c' : '#9a4a00' },
    { tag: tags.comment, color: dark ? '#98a2b3' : '#5d6673', fontStyle: 'italic' },
    { tag: tags.standard(tags.variableName), color: dark ? '#7db0ff' : '#1357c4', fontWeight: '600' },
    { tag: tags.definition(tags.variableName), color: dark ? '#ffd479' : '#8a5600', fontWeight: '600' },
  ]);

/** What could stand at the cursor. */
export function complete(context: CompletionContext): CompletionResult | null {
  const member = context.matchBefore(/\.\w*/);
  if (member)
    return { from: member.from + 1, options: MEMBERS.map((label) => ({ label, type: 'property' })) };
  const word = context.matchBefore(/\w+/);
  if (!word && !context.explicit) return null;
  return {
    from: word?.from ?? context.pos,
    options: [
      ...SAID.map((label) => ({ label, type: 'function', apply: `${label}(` })),
      ...[...KEYWORDS].map((label) => ({ label, type: 'keyword' })),
      ...['call', 'candidates', 'attempt', 'usage'].map((label) => ({ label, type: 'variable' })),
    ],
  };
}
