#!/usr/bin/env python3
"""Writes prices.csv of this directory from a wide CSV file of facts.

usage: convert.py WIDE_PRICES.csv

README.md says what the columns mean. The result has no quotes, so that a reader can split at commas.
"""
import csv
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent

# Providers whose reasoning comes on top of the output ceiling.
EXTRA_REASONING = {"xai", "perplexity", "gemini"}
# Models of theirs that reason although the wide table doesn't say so.
REASONS = re.compile(r"grok-(3-mini|4|code)(?!.*non-reasoning)|gemini-(2\.5|[3-9])(?!.*(tts|live))|deep-research")
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
    wide_prices = sys.argv[1]
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
