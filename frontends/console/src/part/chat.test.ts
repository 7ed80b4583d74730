import { afterEach, expect, test, vi } from 'vitest';
import { chat, messages, type Piece, PLAIN, parameters, type Turn } from './chat';

const bytes = new TextEncoder().encode(
  [
    'data: {"choices":[{"delta":{"content":"你好"}}]}\n\n',
    'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\r\n\r\n',
    'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{"}}]}}]}\n\n',
    ': ping\n\n',
    'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}\n\n',
    'data: [DONE]\n\n',
  ].join(''),
);

function answer(cut: number): Response {
  const stream = new ReadableStream<Uint8Array>({
    start(control) {
      control.enqueue(bytes.slice(0, cut));
      control.enqueue(bytes.slice(cut));
      control.close();
    },
  });
  return new Response(stream, {
    headers: { 'x-sluicegate-call-id': 'call-1', 'x-sluicegate-attempts': '2' },
  });
}

afterEach(() => vi.unstubAllGlobals());

test('a stream says the same wherever its bytes are cut', async () => {
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    vi.stubGlobal('fetch', async () => answer(cut));
    const heard: Piece[] = [];
    const done = await chat('sk-k', { model: 'm' }, new AbortController().signal, (piece) =>
      heard.push(piece),
    );
    expect(heard).toEqual([
      { text: '你好' },
      { thought: 'hm' },
      { tool: { index: 0, name: 'f', input: '{' } },
    ]);
    expect(done).toMatchObject({ call: 'call-1', attempts: 2, input: 3, output: 4 });
  }
});

test('an error within a stream is an error', async () => {
  const text = 'data: {"error":{"message":"it broke","code":"upstream"}}\n\n';
  vi.stubGlobal('fetch', async () => new Response(text));
  await expect(chat('sk-k', {}, new AbortController().signal, () => undefined)).rejects.toThrow('it broke');
});

test('a key is all that a call shows of who asks', async () => {
  const asked = vi.fn(async (_path: string, _init?: RequestInit) => answer(10));
  vi.stubGlobal('fetch', asked);
  await chat('sk-k', { model: 'm' }, new AbortController().signal, () => undefined);
  expect(asked.mock.calls[0]?.[1]).toMatchObject({
    credentials: 'omit',
    headers: { authorization: 'Bearer sk-k' },
  });
});

test('a conversation has calls of tools only where all of their results were given back', () => {
  const asks: Turn = {
    role: 'assistant',
    content: '',
    tools: [
      { id: 'a', name: 'f', input: '{"x":1}' },
      { id: 'b', name: 'g', input: '' },
    ],
  };
  const start: Turn[] = [{ role: 'user', content: 'q' }, asks];
  const given: Turn[] = [
    { role: 'tool', content: '1', answers: 'a' },
    { role: 'tool', content: '2', answers: 'b' },
  ];
  expect(messages(' ', [...start, { role: 'user', content: 'never mind' }])).toEqual([
    { role: 'user', content: 'q' },
    { role: 'user', content: 'never mind' },
  ]);
  const call = (id: string, name: string, args: string) => ({
    id,
    type: 'function',
    function: { name, arguments: args },
  });
  expect(messages('be brief', [...start, ...given])).toEqual([
    { role: 'system', content: 'be brief' },
    { role: 'user', content: 'q' },
    { role: 'assistant', content: null, tool_calls: [call('a', 'f', '{"x":1}'), call('b', 'g', '{}')] },
    { role: 'tool', tool_call_id: 'a', content: '1' },
    { role: 'tool', tool_call_id: 'b', content: '2' },
  ]);
});

test('what is left empty is not sent', () => {
  expect(parameters(PLAIN)).toEqual({});
  const set = { temperature: 0, topP: 0.9, maxOutput: 5, seed: 0, stop: ['END'], effort: 'low' };
  expect(parameters({ ...PLAIN, ...set })).toEqual({
    temperature: 0,
    top_p: 0.9,
    max_tokens: 5,
    seed: 0,
    stop: ['END'],
    reasoning_effort: 'low',
  });
});
