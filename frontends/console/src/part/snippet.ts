// What is pasted into shells, programs and agents to call this gateway.

/** One word to a shell, whatever is in it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** How programs call this gateway with a key. */
export function snippets(base: string, key: string, model: string): { name: string; text: string }[] {
  const q = JSON.stringify;
  const body = q({ model, messages: [{ role: 'user', content: 'Hello' }] });
  return [
    {
      name: 'curl',
      text: `curl ${base}/v1/chat/completions \\\n  -H ${quoted(`authorization: Bearer ${key}`)} \\\n  -H "content-type: application/json" \\\n  -d ${quoted(body)}`,
    },
    {
      name: 'Python',
      text: `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key="${key}")\nanswer = client.chat.completions.create(\n    model=${q(model)},\n    messages=[{"role": "user", "content": "Hello"}],\n)\nprint(answer.choices[0].message.content)`,
    },
    {
      name: 'Node.js',
      text: `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${base}/v1", apiKey: "${key}" });\nconst answer = await client.chat.completions.create({\n  model: ${q(model)},\n  messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.choices[0].message.content);`,
    },
    {
      name: 'Claude Code',
      text: `export ANTHROPIC_BASE_URL=${base}\nexport ANTHROPIC_AUTH_TOKEN=${quoted(key)}\nexport ANTHROPIC_MODEL=${quoted(model)}\nclaude`,
    },
    {
      name: 'Codex',
      text: `# ~/.codex/config.toml\nmodel = ${q(model)}\nmodel_provider = "sluicegate"\n\n[model_providers.sluicegate]\nname = "Sluicegate"\nbase_url = "${base}/v1"\nenv_key = "SLUICEGATE_KEY"\nwire_api = "responses"\n\n# then: export SLUICEGATE_KEY=${quoted(key)}`,
    },
  ];
}
