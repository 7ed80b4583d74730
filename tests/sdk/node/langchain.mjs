// LangChain for Node. Its calls are the same for every model class.
import { ChatAnthropic } from "@langchain/anthropic";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { concat } from "@langchain/core/utils/stream";
import { ChatGoogle } from "@langchain/google";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";
import { ABOUT, ASK, DEGREES, HELLO, LIMIT_MS, LOOK, PNG, SCHEMA, serve } from "./job.mjs";

const Echo = z.object({ echo: z.string() });
const used = ({ usage_metadata: usage }) => [usage.input_tokens, usage.output_tokens];

const by = (make) => async (kind, name, base, key) => {
  const model = make(name, base, key);
  if (kind === "stream") {
    const pieces = [];
    let whole;
    for await (const chunk of await model.stream(HELLO)) {
      if (chunk.text) pieces.push(chunk.text);
      whole = whole ? concat(whole, chunk) : chunk;
    }
    return { text: whole.text, pieces: pieces.length, usage: used(whole) };
  }
  if (kind === "structured") {
    return { parsed: await model.withStructuredOutput(Echo, { method: "jsonSchema" }).invoke(HELLO) };
  }
  if (kind === "tools") {
    const bound = model.bindTools([{ type: "function", function: { name: "weather", description: ABOUT, parameters: SCHEMA } }]);
    const messages = [new HumanMessage(ASK)];
    const turn = await bound.invoke(messages);
    const results = turn.tool_calls.map((call, n) => new ToolMessage({ content: DEGREES[n], tool_call_id: call.id, name: call.name }));
    const calls = turn.tool_calls.map((call) => [call.name, call.args]);
    return { calls, text: (await bound.invoke([...messages, turn, ...results])).text };
  }
  const picture = { type: "image", mimeType: "image/png", data: PNG };
  const asked = kind === "image" ? [new HumanMessage({ contentBlocks: [{ type: "text", text: LOOK }, picture] })] : HELLO;
  const answer = await model.invoke(asked);
  return { text: answer.text, usage: used(answer) };
};

const openai = (fields) => by((model, base, apiKey) =>
  new ChatOpenAI({ model, apiKey, maxRetries: 0, timeout: LIMIT_MS, configuration: { baseURL: `${base}/v1` }, ...fields }));
await serve({
  "langchain-node-openai": openai({ useResponsesApi: false }),
  "langchain-node-openai-responses": openai({ useResponsesApi: true }),
  "langchain-node-anthropic": by((model, base, apiKey) =>
    new ChatAnthropic({ model, apiKey, maxRetries: 0, maxTokens: 500, anthropicApiUrl: base })),
  "langchain-node-google": by((model, endpoint, apiKey) => new ChatGoogle({ model, apiKey, maxRetries: 0, platformType: "gai", endpoint })),
});
