// The OpenAI SDK for Node: chat completions and responses.
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { ABOUT, ASK, DEGREES, HELLO, LIMIT_MS, LOOK, PNG, SCHEMA, serve } from "./job.mjs";

const Echo = z.object({ echo: z.string() });
const client = (base, key) => new OpenAI({ baseURL: `${base}/v1`, apiKey: key, maxRetries: 0, timeout: LIMIT_MS });

async function chat(kind, model, base, key) {
  const completions = client(base, key).chat.completions;
  let messages = [{ role: "user", content: HELLO }];
  if (kind === "stream") {
    const pieces = [];
    let usage;
    for await (const chunk of await completions.create({ model, messages, stream: true, stream_options: { include_usage: true } })) {
      const piece = chunk.choices[0]?.delta.content;
      if (piece) pieces.push(piece);
      usage = chunk.usage ?? usage;
    }
    return { text: pieces.join(""), pieces: pieces.length, usage: [usage.prompt_tokens, usage.completion_tokens] };
  }
  if (kind === "structured") {
    const answer = await completions.parse({ model, messages, response_format: zodResponseFormat(Echo, "echo") });
    return { parsed: answer.choices[0].message.parsed };
  }
  if (kind === "tools") {
    const tools = [{ type: "function", function: { name: "weather", description: ABOUT, parameters: SCHEMA } }];
    messages = [{ role: "user", content: ASK }];
    const turn = (await completions.create({ model, messages, tools })).choices[0].message;
    messages.push(turn);
    turn.tool_calls.forEach((call, n) => messages.push({ role: "tool", tool_call_id: call.id, content: DEGREES[n] }));
    const calls = turn.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
    return { calls, text: (await completions.create({ model, messages, tools })).choices[0].message.content };
  }
  if (kind === "image") {
    const image = { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } };
    messages = [{ role: "user", content: [{ type: "text", text: LOOK }, image] }];
  }
  const { choices, usage } = await completions.create({ model, messages });
  return { text: choices[0].message.content, usage: [usage.prompt_tokens, usage.completion_tokens] };
}

async function responses(kind, model, base, key) {
  const responses = client(base, key).responses;
  let input = HELLO;
  if (kind === "stream") {
    const pieces = [];
    let usage;
    for await (const event of await responses.create({ model, input, stream: true })) {
      if (event.type === "response.output_text.delta") pieces.push(event.delta);
      if (event.type === "response.completed") usage = event.response.usage;
    }
    return { text: pieces.join(""), pieces: pieces.length, usage: [usage.input_tokens, usage.output_tokens] };
  }
  if (kind === "structured") {
    const answer = await responses.parse({ model, input, text: { format: zodTextFormat(Echo, "echo") } });
    return { parsed: answer.output_parsed };
  }
  if (kind === "tools") {
    const tools = [{ type: "function", name: "weather", description: ABOUT, parameters: SCHEMA, strict: true }];
    input = [{ role: "user", content: ASK }];
    const turn = await responses.create({ model, input, tools });
    const made = turn.output.filter((item) => item.type === "function_call");
    input.push(...turn.output);
    made.forEach((call, n) => input.push({ type: "function_call_output", call_id: call.call_id, output: DEGREES[n] }));
    const calls = made.map((call) => [call.name, JSON.parse(call.arguments)]);
    return { calls, text: (await responses.create({ model, input, tools })).output_text };
  }
  if (kind === "image") {
    const image = { type: "input_image", image_url: `data:image/png;base64,${PNG}`, detail: "auto" };
    input = [{ role: "user", content: [{ type: "input_text", text: LOOK }, image] }];
  }
  const answer = await responses.create({ model, input });
  return { text: answer.output_text, usage: [answer.usage.input_tokens, answer.usage.output_tokens] };
}

await serve({ "openai-node": chat, "openai-node-responses": responses });
