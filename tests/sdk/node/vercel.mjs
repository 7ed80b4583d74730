// The Vercel AI SDK with its three providers. It runs the loop of tools by itself.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { ABOUT, ASK, DEGREES, HELLO, LOOK, PNG, SCHEMA, serve } from "./job.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const used = (usage) => [usage.inputTokens, usage.outputTokens];

const by = (provide) => async (kind, name, base, key) => {
  const asked = { model: provide(name, base, key), maxRetries: 0 };
  if (kind === "stream") {
    const pieces = [];
    const stream = streamText({ ...asked, prompt: HELLO });
    for await (const piece of stream.textStream) pieces.push(piece);
    return { text: pieces.join(""), pieces: pieces.length, usage: used(await stream.usage) };
  }
  if (kind === "structured") {
    const output = Output.object({ schema: z.object({ echo: z.string() }) });
    return { parsed: (await generateText({ ...asked, prompt: HELLO, output })).output };
  }
  if (kind === "tools") {
    const calls = [];
    const weather = tool({
      description: ABOUT,
      inputSchema: jsonSchema(SCHEMA),
      execute: (input) => DEGREES[calls.push(["weather", input]) - 1],
    });
    const { text } = await generateText({ ...asked, prompt: ASK, tools: { weather }, stopWhen: stepCountIs(3) });
    return { calls, text };
  }
  const content = [{ type: "text", text: LOOK }, { type: "image", image: Buffer.from(PNG, "base64"), mediaType: "image/png" }];
  const prompt = kind === "image" ? [{ role: "user", content }] : HELLO;
  const { text, usage } = await generateText({ ...asked, prompt });
  return { text, usage: used(usage) };
};

const openai = (base, key) => createOpenAI({ baseURL: `${base}/v1`, apiKey: key });
await serve({
  "vercel-openai": by((name, base, key) => openai(base, key).chat(name)),
  "vercel-openai-responses": by((name, base, key) => openai(base, key).responses(name)),
  "vercel-anthropic": by((name, base, key) => createAnthropic({ baseURL: `${base}/v1`, apiKey: key })(name)),
  "vercel-google": by((name, base, key) => createGoogleGenerativeAI({ baseURL: `${base}/v1beta`, apiKey: key })(name)),
});
