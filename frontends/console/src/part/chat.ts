// Calls of models as any program makes them: by a key, streamed.

import { ApiError, failure } from '../api/client';

/** A call of a tool that an answer asks for. */
export type Tool = { id: string; name: string; input: string };

/** `tools` are what an answer asks for, `answers` the id of the call that a tool's result is of. */
export type Turn = {
  role: 'user' | 'assistant' | 'tool';
  content: string;
  tools?: Tool[];
  answers?: string;
};

/** A conversation as the API takes it. Calls of tools whose results nobody gave back are left out: upstreams refuse them. */
export function messages(system: string, turns: Turn[]): object[] {
  const given = new Set(turns.flatMap((it) => it.answers ?? []));
  const said = turns.flatMap(({ role, content, tools, answers }): object[] => {
    if (role === 'tool') return [{ role, tool_call_id: answers, content }];
    if (tools?.length && tools.every((it) => given.has(it.id))) {
      const calls = tools.map(({ id, name, input }) => ({
        id,
        type: 'function',
        function: { name, arguments: input || '{}' },
      }));
      return [{ role, content: content || null, tool_calls: calls }];
    }
    return content ? [{ role, content }] : [];
  });
  return system.trim() ? [{ role: 'system', content: system }, ...said] : said;
}

/** What is asked along with a conversation; what is empty is left to the model. */
export type Settings = {
  system: string;
  temperature: number | null;
  topP: number | null;
  maxOutput: number | null;
  seed: number | null;
  stop: string[];
  effort: string | null;
  tools: string;
};

export const PLAIN: Settings = {
  system: '',
  temperature: null,
  topP: null,
  maxOutput: null,
  seed: null,
  stop: [],
  effort: null,
  tools: '',
};

export const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh'] as const;

/** The same as the API takes it. */
export function parameters(it: Settings): Record<string, unknown> {
  return {
    ...(it.temperature != null && { temperature: it.temperature }),
    ...(it.topP != null && { top_p: it.topP }),
    ...(it.maxOutput != null && { max_tokens: it.maxOutput }),
    ...(it.seed != null && { seed: it.seed }),
    ...(it.stop.length > 0 && { stop: it.stop }),
    ...(it.effort && { reasoning_effort: it.effort }),
  };
}

export type Piece = {
  text?: string;
  thought?: string;
  tool?: { index: number; id?: string; name?: string; input?: string };
};

export type Done = {
  call: string | null;
  attempts: number;
  firstMs: number | null;
  wholeMs: number;
  input: number | null;
  output: number | null;
};

type Chunk = {
  error?: { message?: string; code?: string };
  choices?: {
    delta?: {
      content?: string | null;
      reasoning_content?: string | null;
      tool_calls?: { index?: number; id?: string; function?: { name?: string; arguments?: string } }[];
    };
  }[];
  usage?: { prompt_tokens?: number; completion_tokens?: number } | null;
};

async function send(path: string, key: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, {
      ...init,
      // The key alone says who asks: the session calls no model.
      credentials: 'omit',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'unreachable', error instanceof Error ? error.message : String(error));
  }
  if (!response.ok) throw failure(response, await response.json().catch(() => null));
  return response;
}

/** What a key may ask for. */
export async function modelsOf(key: string): Promise<string[]> {
  const response = await send('/v1/models', key, {});
  const list = (await response.json()) as { data: { id: string }[] };
  return list.data.map((it) => it.id);
}

/** Asks, and tells each piece of the answer as it comes. */
export async function chat(
  key: string,
  body: Record<string, unknown>,
  signal: AbortSignal,
  tell: (piece: Piece) => void,
): Promise<Done> {
  const begun = performance.now();
  const response = await send('/v1/chat/completions', key, {
    method: 'POST',
    signal,
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
  });
  const done: Done = {
    call: response.headers.get('x-sluicegate-call-id'),
    attempts: Number(response.headers.get('x-sluicegate-attempts') ?? 1),
    firstMs: null,
    wholeMs: 0,
    input: null,
    output: null,
  };
  const hear = (chunk: Chunk) => {
    if (chunk.error) throw new ApiError(response.status, chunk.error.code ?? '', chunk.error.message ?? '');
    if (chunk.usage) {
      done.input = chunk.usage.prompt_tokens ?? null;
      done.output = chunk.usage.completion_tokens ?? null;
    }
    const delta = chunk.choices?.[0]?.delta;
    if (!delta) return;
    const tools = delta.tool_calls ?? [];
    if (delta.content || delta.reasoning_content || tools.length > 0)
      done.firstMs ??= performance.now() - begun;
    if (delta.content) tell({ text: delta.content });
    if (delta.reasoning_content) tell({ thought: delta.reasoning_content });
    for (const { index = 0, id, function: its } of tools) {
      tell({ tool: { index, id, name: its?.name, input: its?.arguments } });
    }
  };
  for await (const data of events(response)) {
    if (data !== '[DONE]') hear(JSON.parse(data) as Chunk);
  }
  done.wholeMs = performance.now() - begun;
  return done;
}

/** The data of each event of a stream, wherever its bytes are cut. */
async function* events(response: Response): AsyncGenerator<string> {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    rest += value ?? '';
    const parts = rest.split(/\r?\n\r?\n/);
    rest = done ? '' : (parts.pop() ?? '');
    for (const part of parts) {
      const data = part
        .split(/\r?\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).trimStart())
        .join('\n');
      if (data) yield data;
    }
    if (done) return;
  }
}
