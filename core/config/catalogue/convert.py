#!/usr/bin/env python3
"""Writes providers.csv and prices.csv of this directory from two wide CSV files of facts.

usage: convert.py WIDE_PROVIDERS.csv WIDE_PRICES.csv

README.md says what the columns mean. The result has no quotes, so that a reader can split at commas.
"""
import csv
import json
import re
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
# Providers whose reasoning comes on top of the output ceiling.
EXTRA_REASONING = {"xai", "perplexity", "gemini"}
# Models of theirs that reason although the wide table doesn't say so.
REASONS = re.compile(r"grok-(3-mini|4|code)(?!.*non-reasoning)|gemini-(2\.5|[3-9])(?!.*(tts|live))|deep-research")
BASES = {"ollama": "http://localhost:11434/v1", "ollama-cloud": "https://ollama.com/v1"}
PROVIDER_COLUMNS = ["id", "name", "wire", "base_url", "anthropic_base_url", "key_variable", "auth", "serves", "newapi_types",
                    "aliases", "prices"]
PRICE_COLUMNS = ["provider", "model", "mode", "input", "output", "cached_input", "cache_write", "cache_write_1h",
                 "reasoning_output", "audio_input", "audio_output", "context_window", "max_output", "extra_reasoning",
                 "lacks", "tiers"]
TIER_PRICES = ["input", "output", "cached_input", "cache_write", "cache_write_1h", "reasoning_output"]


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


def number(value):
    """A price as a decimal without exponent: never through a float."""
    from decimal import Decimal
    if value in ("", None):
        return ""
    text = format(Decimal(str(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def tier(bound, rule):
    prices = [f"{key}={number(rule[key])}" for key in TIER_PRICES if rule.get(key) is not None]
    return f"{bound}:" + ";".join(prices)


def price(row):
    out = {"provider": row["provider"], "model": row["upstream_model"], "mode": row["mode"]}
    for column in ["input", "output", "cached_input", "cache_write", "cache_write_1h", "reasoning_output", "audio_input",
                   "audio_output"]:
        out[column] = number(row[column])
    if row["mode"] == "embedding" and out["output"] == "" and out["input"] != "":
        out["output"] = "0"
    for column in ["context_window", "max_output"]:
        out[column] = row[column].split(".")[0]
    rules = json.loads(row["tier_rules"]) if row["tier_rules"] else []
    tiers = []
    for rule in rules if isinstance(rules, list) else []:
        if rule.get("above_prompt_tokens"):
            tiers.append((int(rule["above_prompt_tokens"]), rule))
        elif rule.get("from_prompt_tokens") == 0:
            for key in TIER_PRICES:
                if out.get(key, "") == "" and rule.get(key) is not None:
                    out[key] = number(rule[key])
        elif rule.get("from_prompt_tokens"):
            tiers.append((int(rule["from_prompt_tokens"]), rule))
    out["tiers"] = "|".join(tier(bound, rule) for bound, rule in sorted(tiers, key=lambda t: t[0]))
    capabilities = set(row["capabilities"].split("|"))
    # Only this source says "no" where it says nothing: elsewhere silence is ignorance.
    if row["src"].startswith("models.dev") and row["mode"] == "chat" and capabilities != {""}:
        known = [("tools", "tools"), ("vision", "images"), ("audio_in", "audio")]
        out["lacks"] = "|".join(need for capability, need in known if capability not in capabilities)
    reasons = "reasoning" in capabilities or (row["mode"] == "chat" and REASONS.match(row["upstream_model"]))
    if row["provider"] in EXTRA_REASONING and reasons:
        out["extra_reasoning"] = out["max_output"] or out["context_window"]
    return out


def main():
    wide_providers, wide_prices = sys.argv[1:3]
    with open(wide_providers, encoding="utf-8", newline="") as file:
        wide = list(csv.DictReader(file))
        ids = {row["id"] for row in wide}
        write("providers.csv", PROVIDER_COLUMNS, [provider(row, ids) for row in wide])
    with open(wide_prices, encoding="utf-8", newline="") as file:
        rows, seen = [], set()
        for wide in csv.DictReader(file):
            row = price(wide)
            key = (row["provider"], row["model"])
            facts = any(row.get(column) for column in PRICE_COLUMNS[3:])
            if row["mode"] not in ("chat", "embedding") or key in seen or not facts or "," in row["model"]:
                continue
            seen.add(key)
            rows.append(row)
        # The reader halves its way to a row: the order is that of the bytes.
        rows.sort(key=lambda row: f"{row['provider']},{row['model']},".encode())
        write("prices.csv", PRICE_COLUMNS, rows)


main()
