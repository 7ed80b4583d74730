#!/usr/bin/env python3
"""Writes providers.csv of this directory from a wide CSV file of facts.

usage: convert.py WIDE_PROVIDERS.csv

README.md says what the columns mean. The result has no quotes, so that a reader can split at commas.
"""
import csv
import sys
from pathlib import Path

HERE = Path(__file__).parent

# Other names of a provider: LiteLLM prefixes and New API channel types, in lower case.
ALIASES = {
    "anthropic": ["claude"], "dashscope": ["ali", "qwen", "aliyun"], "qwencloud": ["dashscope-intl"],
    "bigmodel": ["zhipuv4", "zhipu_v4", "zhipu", "glm"], "bedrock": ["aws", "bedrock_converse"],
    "gemini": ["google"], "vertex_ai": ["vertexai", "vertex_ai_beta"], "azure": ["azure_openai"],
    "hosted_vllm": ["vllm"], "ollama": ["ollama_chat"], "zai": ["z.ai"], "moonshot": ["kimi"],
    "moonshot-cn": ["kimi-cn"], "volcengine": ["doubao", "ark"], "lingyiwanwu": ["lingyi", "yi"],
    "qianfan": ["baiduv2", "baidu_v2"], "baidu-v1": ["baidu"], "tencent-tokenhub-cn": [], "hunyuan": ["tencent-hunyuan"],
    "cohere": ["cohere_chat"], "together_ai": ["together"], "custom_openai": ["openai_like", "openai-compatible", "custom"],
    "github": ["github_models"], "huggingface": ["hf"], "spark": ["xunfei"], "zhinao-360": ["360"],
    "fireworks_ai": ["fireworks"], "xai": ["grok"], "wanqing": ["kuaishou", "kat"], "new-api": ["newapi", "one-api", "oneapi"],
    "veniceai": ["venice"], "jina_ai": ["jina"], "cloudflare": ["cloudflare-workers-ai"], "nvidia_nim": ["nvidia"],
}
# The provider that a New API channel type means when several share it.
TYPE_OWNER = {17: "dashscope", 25: "moonshot-cn", 26: "bigmodel", 35: "minimax-cn", 40: "siliconflow-cn"}
MORE_TYPES = {"openai": [55], "volcengine": [54]}
# Whose rows of the price list apply, in order; the default is the provider's own.
PRICES = {
    "dashscope": ["dashscope-cn"], "qwencloud": ["qwencloud", "dashscope"], "dashscope-us": ["dashscope"],
    "tencent-tokenhub-cn": ["tencent-cn"], "iflow": ["iflowcn"], "bedrock": ["bedrock", "bedrock_converse"],
}
BASES = {"ollama": "http://localhost:11434/v1", "ollama-cloud": "https://ollama.com/v1"}
PROVIDER_COLUMNS = ["id", "name", "wire", "base_url", "anthropic_base_url", "key_variable", "auth", "serves", "newapi_types",
                    "aliases", "prices"]


def write(name, columns, rows):
    with open(HERE / name, "w", encoding="utf-8", newline="\n") as out:
        out.write(",".join(columns) + "\n")
        for row in rows:
            cells = [str(row.get(column, "")) for column in columns]
            assert not any(set(cell) & set(',"\n') for cell in cells), cells
            out.write(",".join(cells) + "\n")


def provider(row, ids):
    ident, wire = row["id"], row["wire_format"]
    auth = row["auth"]
    if wire == "ollama":
        wire = "openai"
    auth = {"bearer": "bearer", "none or bearer": "optional", "none": "none", "x-api-key": "header:x-api-key",
            "api-key": "header:api-key", "other(api-subscription-key)": "header:api-subscription-key",
            "other(x-portkey-api-key)": "header:x-portkey-api-key"}.get(auth, "other")
    served = {"chat": "chat", "embeddings": "embeddings", "messages": "messages"}
    serves = [served[e] for e in row["endpoints"].split(",") if e in served]
    anthropic = row["anthropic_base_url"]
    if "://" not in anthropic or "{" in anthropic or wire != "openai":
        anthropic = ""
    types = [int(row["newapi_type"])] if row["newapi_type"].isdigit() else []
    types = [t for t in types if TYPE_OWNER.get(t, ident) == ident] + MORE_TYPES.get(ident, [])
    names = {row["newapi_name"].lower().replace(" ", "")} if types and row["newapi_name"] else set()
    # A name means one provider: an id first, then what ALIASES says.
    names -= {alias for other, aliases in ALIASES.items() if other != ident for alias in aliases}
    names = (names | set(ALIASES.get(ident, []))) - ids
    variables = row["api_key_env"].split("+")[0].split(" ")[0]
    return {"id": ident, "name": row["display_name"].replace(",", " "), "wire": wire, "auth": auth,
            "base_url": BASES.get(ident, row["base_url"]), "anthropic_base_url": anthropic, "key_variable": variables,
            "serves": "|".join(serves), "newapi_types": "|".join(map(str, types)), "aliases": "|".join(sorted(names)),
            "prices": "|".join(PRICES.get(ident, [ident]))}


def main():
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        wide = list(csv.DictReader(file))
        ids = {row["id"] for row in wide}
        write("providers.csv", PROVIDER_COLUMNS, [provider(row, ids) for row in wide])


main()
