// An upstream whose every word tries to be markup: what it answers, thinks, calls and complains of.

import { createServer } from 'node:http';
import { listening, type Running } from './process.ts';

const HARM = 'window.harmed=1';

/** Each would run, or lead somewhere, if it were taken for more than words. */
export const WORDS = [
  `<script>${HARM}</script>`,
  `<img src=x onerror="${HARM}">`,
  `<svg onload="${HARM}"><animate onbegin="${HARM}" attributeName=x dur=1s></svg>`,
  `<iframe srcdoc="<script>parent.harmed=1</script>"></iframe>`,
  `<a href="javascript:${HARM}">here</a>`,
  `[here](javascript:${HARM})`,
  `![picture](https://elsewhere.example/pixel.png)`,
  `<style>*{display:none}</style>`,
  `<form action="javascript:${HARM}"><button autofocus onfocus="${HARM}">go</button></form>`,
];

export async function startHostile(): Promise<Running> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      if (body.includes('complain')) {
        response.writeHead(400, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { message: WORDS.join(' '), type: WORDS[0], code: WORDS[1] } }));
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const event = (delta: object, finish: string | null = null) =>
        response.write(
          `data: ${JSON.stringify({ id: 'h', object: 'chat.completion.chunk', created: 1, model: WORDS[1], choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`,
        );
      event({ role: 'assistant', reasoning_content: WORDS.join('\n') });
      // Cut in the middle of words, as streams are.
      for (const part of WORDS.join('\n').match(/[\s\S]{1,7}/g) ?? []) event({ content: part });
      const call = { index: 0, id: 'c', type: 'function', function: { name: 'look', arguments: JSON.stringify({ it: WORDS }) } };
      event({ tool_calls: [call] });
      event({}, 'tool_calls');
      const usage = { prompt_tokens: 5, completion_tokens: 9, total_tokens: 14 };
      response.end(
        `data: ${JSON.stringify({ id: 'h', object: 'chat.completion.chunk', created: 1, model: 'x', choices: [], usage })}\n\ndata: [DONE]\n\n`,
      );
    });
  });
  return listening(server);
}
