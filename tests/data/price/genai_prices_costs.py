#!/usr/bin/env python3
"""Writes genai-prices.csv: what calls cost by the package `genai-prices` (PyPI), for models of our built-in price list.

usage: pip install genai-prices==0.2.3 && python3 genai_prices_costs.py

The test `prices` of core/config compares; differences.yaml says why some differ.
"""
import csv
from datetime import datetime, timezone
from pathlib import Path

from genai_prices import Usage, calc_price

HERE = Path(__file__).parent
LIST = HERE / "../../../core/config/catalogue/prices.csv"
# Our ids of those that both know, and theirs.
PROVIDERS = {"anthropic": "anthropic", "openai": "openai", "gemini": "google", "deepseek": "deepseek", "xai": "x-ai",
             "mistral": "mistral", "cohere": "cohere", "moonshot": "moonshotai", "zai": "zai", "groq": "groq",
             "minimax": "minimax", "perplexity": "perplexity", "cerebras": "cerebras"}
USAGES = {
    "short": {"input_tokens": 10_000, "output_tokens": 1_000},
    "cached": {"input_tokens": 10_000, "output_tokens": 1_000, "cache_read_tokens": 6_000, "cache_write_tokens": 1_000},
    "long": {"input_tokens": 300_000, "output_tokens": 1_000},
}
# A Monday, in DeepSeek's dear hours and in its cheap ones; and after the changes that are announced for the new year.
TIMES = {"short": ["2026-11-23T02:00:00+00:00", "2026-11-23T12:00:00+00:00", "2027-01-04T02:00:00+00:00"],
         "cached": ["2026-11-23T02:00:00+00:00"], "long": ["2026-11-23T02:00:00+00:00"]}


def main():
    with open(LIST, encoding="utf-8") as file:
        next(file)
        rows = [row for row in csv.DictReader(file) if row["provider"] in PROVIDERS and row["mode"] == "chat"]
    out = []
    for row in rows:
        for name, usage in USAGES.items():
            for at in TIMES[name]:
                when = datetime.fromisoformat(at).astimezone(timezone.utc)
                try:
                    price = calc_price(Usage(**usage), row["model"], provider_id=PROVIDERS[row["provider"]],
                                       genai_request_timestamp=when)
                except (LookupError, ValueError):
                    continue
                out.append([row["provider"], row["model"], name, at.replace("+00:00", "Z"), f"{price.total_price.normalize():f}"])
    with open(HERE / "genai-prices.csv", "w", encoding="utf-8", newline="\n") as file:
        file.write("provider,model,usage,at,usd\n")
        file.writelines(",".join(line) + "\n" for line in out)


main()
