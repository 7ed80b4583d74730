// The Anthropic SDK for Node.
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";
import { ABOUT, ASK, DEGREES, HELLO, LIMIT_MS, LOOK, PNG, SCHEMA, serve } from "./job.mjs";

const Echo = z.object({ echo: z.string() });

async function claude(kind, model, base, key) {
  const { messages: api } = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 0, timeout: LIMIT_MS });
  const rest = { model, max_tokens: 500 };
  let messages = [{ role: "user", content: HELLO }];
  if (kind === "stream") {
    const stream = api.stream({ ...rest, messages });
    const pieces = [];
    stream.on("text", (piece) => pieces.push(piece));
    const { usage } = await stream.finalMessage();
    return { text: pieces.join(""), pieces: pieces.length, usage: [usage.input_tokens, usage.output_tokens] };
  }
  if (kind === "structured") {
    const answer = await api.parse({ ...rest, messages, output_config: { format: zodOutputFormat(Echo) } });
    return { parsed: answer.parsed_output };
  }
  if (kind === "tools") {
    const tools = [{ name: "weather", description: ABOUT, input_schema: SCHEMA }];
    messages = [{ role: "user", content: ASK }];
    const turn = await api.create({ ...rest, messages, tools });
    const made = turn.content.filter((block) => block.type === "tool_use");
    const content = made.map((call, n) => ({ type: "tool_result", tool_use_id: call.id, content: DEGREES[n] }));
    messages.push({ role: "assistant", content: turn.content }, { role: "user", content });
    const calls = made.map((call) => [call.name, call.input]);
    return { calls, text: (await api.create({ ...rest, messages, tools })).content[0].text };
  }
  if (kind === "image") {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
    messages = [{ role: "user", content: [image, { type: "text", text: LOOK }] }];
  }
  const { content, usage } = await api.create({ ...rest, messages });
  return { text: content[0].text, usage: [usage.input_tokens, usage.output_tokens] };
}

await serve({ "anthropic-node": claude });
