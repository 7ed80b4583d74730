//! From the facts, by hand in `catalogue/facts.csv` and `catalogue/quirks.yaml`, to the files that are compiled in and the
//! manual's page. Whatever is malformed is an error that names its row.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use serde::Deserialize;
use sluicegate_core::quirk::{
    BesideQuirk, ByItself, ErrorQuirk, Finish, ParameterQuirk, Quirks, RequestChange, RequestQuirk,
    ThinkingQuirk, UsageCounts,
};

const FACTS: &str = include_str!("../../catalogue/facts.csv");
const QUIRKS: &str = include_str!("../../catalogue/quirks.yaml");

const COLUMNS: &str = "id,name,region,wire,base_url,anthropic_base_url,key_variable,auth,endpoints,newapi_types,aliases,chinese,prices,source,checked";
const WIRES: [&str; 9] =
    ["openai", "anthropic", "gemini", "vertex", "azure-openai", "bedrock", "cohere", "ollama", "other"];
const REGIONS: [&str; 13] =
    ["any", "br", "cn", "eu", "global", "id", "in", "intl", "jp", "kr", "local", "ru", "us"];
const ENDPOINTS: [&str; 22] = [
    "audio",
    "batch",
    "batches",
    "chat",
    "compact",
    "completions",
    "count_tokens",
    "embeddings",
    "files",
    "fim",
    "images",
    "input_tokens",
    "messages",
    "moderations",
    "ocr",
    "realtime",
    "rerank",
    "responses",
    "score",
    "search",
    "video",
    "",
];

/// All that is known.
pub(crate) struct Facts {
    pub(crate) rows: Vec<Row>,
    pub(crate) families: Vec<Family>,
}

/// A provider.
pub(crate) struct Row {
    cells: Vec<&'static str>,
    pub(crate) family: String,
}

/// Providers whose bytes are alike.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Family {
    pub(crate) family: String,
    providers: Vec<String>,
    source: String,
    checked: String,
    #[serde(default)]
    pub(crate) quirks: Quirks,
}

impl Row {
    fn cell(&self, name: &str) -> &'static str {
        let at = COLUMNS.split(',').position(|column| column == name);
        at.and_then(|at| self.cells.get(at)).copied().unwrap_or_default()
    }

    pub(crate) fn id(&self) -> &'static str {
        self.cell("id")
    }
}

/// Reads and checks them.
pub(crate) fn facts() -> Result<Facts, String> {
    let mut lines = FACTS.lines();
    if lines.next() != Some(COLUMNS) {
        return Err(format!("facts.csv must begin with the columns {COLUMNS}"));
    }
    let mut rows: Vec<Row> =
        lines.map(|line| Row { cells: line.split(',').collect(), family: String::new() }).collect();
    rows.iter().try_for_each(check)?;
    distinct(&rows)?;
    let families: Vec<Family> =
        serde_saphyr::from_str(QUIRKS).map_err(|why| format!("quirks.yaml: {why}"))?;
    let mut names = HashSet::new();
    for family in &families {
        let wrong = |what: String| Err(format!("quirks.yaml: family `{}`: {what}", family.family));
        if !names.insert(family.family.as_str()) {
            return wrong("it stands twice".to_owned());
        }
        if !is_source(&family.source) || !is_date(&family.checked) {
            return wrong("it needs the address of its source, and the date when it was read".to_owned());
        }
        if let Some(why) = family.quirks.unfit() {
            return wrong(why);
        }
        let searches = family.quirks.searches.iter().map(|it| (&it.id, &it.source, &it.checked));
        let beside = family.quirks.beside.iter().map(|it| (&it.id, &it.source, &it.checked));
        let parameters = family.quirks.parameters.iter().map(|it| (&it.id, &it.source, &it.checked));
        let mut sources = searches.chain(beside).chain(parameters);
        let unread = sources.find(|(_, source, date)| !is_source(source) || !is_date(date));
        if let Some((id, ..)) = unread {
            return wrong(format!("`{id}` needs the address of its source, and the date when it was read"));
        }
        for id in &family.providers {
            match rows.iter_mut().find(|row| row.id() == id) {
                None => return wrong(format!("there is no provider `{id}` in facts.csv")),
                Some(row) if !row.family.is_empty() => {
                    return wrong(format!("`{id}` is of the family `{}` already", row.family));
                }
                Some(row) => row.family.clone_from(&family.family),
            }
        }
    }
    for row in rows.iter_mut().filter(|row| row.family.is_empty()) {
        row.family = match row.cell("wire") {
            "openai" => "compatible",
            wire => wire,
        }
        .to_owned();
    }
    Ok(Facts { rows, families })
}

fn check(row: &Row) -> Result<(), String> {
    let columns = COLUMNS.split(',').count();
    let wrong = |what: &str| Err(format!("facts.csv: `{}`: {what}", row.cells.join(",")));
    if row.cells.len() != columns {
        return wrong(&format!("a row has {columns} cells, without commas or quotes in them"));
    }
    if row.id().is_empty() || row.cell("name").is_empty() || row.cells.iter().any(|cell| cell.contains('"')) {
        return wrong("it needs an id and a name, and no quotes");
    }
    let auth = row.cell("auth");
    let auth_known = matches!(auth, "bearer" | "optional" | "none" | "other") || auth.starts_with("header:");
    let base = |name: &str| row.cell(name).is_empty() || row.cell(name).contains("://");
    if !auth_known || !WIRES.contains(&row.cell("wire")) || !REGIONS.contains(&row.cell("region")) {
        return wrong("its auth, wire or region is no word of README.md");
    }
    if !base("base_url") || !base("anthropic_base_url") {
        return wrong("an address begins with its scheme");
    }
    if let Some(word) = row.cell("endpoints").split('|').find(|word| !ENDPOINTS.contains(word)) {
        return wrong(&format!("`{word}` is no operation of README.md"));
    }
    if row.cell("newapi_types").split('|').any(|n| !n.is_empty() && n.parse::<u32>().is_err()) {
        return wrong("a channel type of New API is a number");
    }
    if !is_source(row.cell("source")) || !is_date(row.cell("checked")) {
        return wrong("it needs the address of its source, and the date when it was read");
    }
    Ok(())
}

fn is_source(text: &str) -> bool {
    text.strip_prefix("https://").is_some_and(|rest| rest.contains('.'))
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let lens: Vec<usize> = parts.iter().map(|part| part.len()).collect();
    lens == [4, 2, 2] && parts.iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()))
}

/// A name or number means one provider.
fn distinct(rows: &[Row]) -> Result<(), String> {
    let mut seen = HashSet::new();
    for row in rows {
        let names = row.cell("aliases").split('|').filter(|name| !name.is_empty());
        let types =
            row.cell("newapi_types").split('|').filter(|n| !n.is_empty()).map(|n| format!("type {n}"));
        for name in std::iter::once(row.id()).chain(names).map(str::to_owned).chain(types) {
            if !seen.insert(name.clone()) {
                return Err(format!("facts.csv: `{name}` of `{}` means another provider, too", row.id()));
            }
        }
    }
    Ok(())
}

/// `providers.csv`.
pub(crate) fn providers(facts: &Facts) -> String {
    let mut out = String::from(
        "id,name,wire,base_url,anthropic_base_url,key_variable,auth,serves,newapi_types,aliases,chinese,prices,region,family,source,checked\n",
    );
    for row in &facts.rows {
        let cells = [
            "id",
            "name",
            "wire",
            "base_url",
            "anthropic_base_url",
            "key_variable",
            "auth",
            "endpoints",
            "newapi_types",
            "aliases",
            "chinese",
            "prices",
            "region",
        ]
        .map(|name| row.cell(name));
        let _ = writeln!(
            out,
            "{},{},{},{}",
            cells.join(","),
            row.family,
            row.cell("source"),
            row.cell("checked")
        );
    }
    out
}

/// `quirks.jsonl`: a line for each family that has any.
pub(crate) fn quirks(facts: &Facts) -> Result<String, String> {
    let mut out = String::new();
    for family in facts.families.iter().filter(|family| !family.quirks.is_empty()) {
        let json = serde_json::to_string(&family.quirks).map_err(|why| why.to_string())?;
        let _ = writeln!(out, "{}\t{json}", family.family);
    }
    Ok(out)
}

const INTRO: &str = "# Providers

<!-- Made by `cargo xtask catalogue` from core/config/catalogue/facts.csv and quirks.yaml: change those. -->

Each provider of the built-in catalogue. `provider` in our own files takes an id or another name of it; in a LiteLLM file they are the
prefixes of `model`; in a New API list `type` is one of its channel types. `sluicegate providers list` and `sluicegate providers show ID`
print the same, `--json` for programs. What no row knows is served as `openai` with an address of its own, as long as it speaks that format.

**An address** with parts in braces is the operator's to fill in; *yours* must be named in the channel. **Formats** are what this version
calls there; *not yet* is known by name only: a channel of it is disabled, with a warning. The key variable is used when a channel names
no credential, and only at the provider's own address.

";

const ORDER: &str = "## Quirks

A provider that says it speaks a format rarely speaks all of it. What is known to differ is data, compiled into each channel of the
provider: at its own address whatever name the channel gives, and at any other address when the channel names the provider (for `openai`,
which also stands for everything compatible, only at its own).

Requests are changed in this order:

1. what the gateway itself must change: the model's name, the ceiling, fields that steer or cost, `unknown_fields` (or the translation from
   another format);
2. the provider's quirks, in the order of the lists below, each where its condition holds;
3. the channel's own `body_edits` (`param_override`): what an operator writes comes last, and so wins. Headers of the channel go before a
   quirk's of the same name.

Where nothing applies the body stays byte for byte. What is dropped or brought into a range is named in the answer's loss report
(`x-sluicegate-loss`), and refused where [`translation: strict`](formats.md) holds. No quirk touches a field by which a call is bounded (`model`, `n` …): a
ceiling may get the provider's name for it and become lower, never higher.

**Thinking** is asked for, when a request is translated, in the provider's own words: an Anthropic caller's `thinking: {type: enabled, budget_tokens: 4096}`
is `enable_thinking` and `thinking_budget` for Qwen, `thinking: {type: enabled}` for GLM. What has no place there, a budget or an effort, is named as approximated; thinking that can't be kept from a model, as dropped.
Where a model that thinks can't be made to call a tool, a call that demands one is sent with thinking off: named if thinking was asked for.

**Thoughts beside the ceiling.** `max_tokens` bounds the answer alone at some providers, and thoughts are billed on top. Where a model has a field that bounds both
(`max_completion_tokens` of Ark, of Qwen's newer models, of MiMo), the ceiling is sent as that, in calls that pass untranslated as well: what the caller named is then all that is written,
thoughts included. A call that is [passed through](endpoints.md#passing-through) goes as it came: one that doesn't name that field is bounded by no ceiling, and the longest thought is reserved beside
the model's longest answer. Elsewhere the list below says how much may come on top, and a limit reserves it with the ceiling: what the call grants (`thinking_budget`), else the longest thought that
the provider documents, and nothing where the call keeps the model from thinking, or the model doesn't think unasked. Where nobody documents a ceiling for an endpoint, the longest thought is taken.
What a channel's `body_edits` write about thinking, or its `unknown_fields: drop` takes out, isn't in the call: then the longest is reserved for every call. A model's own
[`extra_reasoning`](configuration.md) goes before all of this; `0` says that its ceiling covers thoughts.

**Searches of the web** that a provider makes by itself are asked for, when a request is translated, of those alone that are known to make them: of
OpenAI and Azure, say, with the tool of responses. Others would refuse the request for a tool that they don't know; from theirs it is dropped, and named in
the loss report. A channel's `web_search: true` or `false` goes before what is known here. A caller who speaks the channel's own format is passed as ever.

**Words of some providers alone** go over in a translated request where the list below says that the provider takes them: `prompt_cache_key`, `prompt_cache_retention`, `safety_identifier`, `verbosity`, tiers, `top_k`,
marks for the prompt cache (`cache_control`, on what is said and on tools). Others refuse the whole call for them: there they are dropped, and named in the loss report. Where nothing is known of a provider, OpenAI's own models (`gpt-4…`, `gpt-5…`, `o3` …) are sent OpenAI's words. A schema for the answer goes
to everybody but who lacks it (`json_schema`): there it is said in the system prompt, JSON is asked for, and that is named. A caller who speaks the channel's own format is passed as ever.

In answers the provider's own error codes are asked first, then what is common to all. A word for the end that means *failed* is a failure
like any other: before content another channel is tried, after it the call is settled with what was delivered.

**Thoughts between `<think>` and `</think>`** pass as they are within OpenAI's format, and are told apart when the answer is translated: of the providers and
models below, and of a channel whose `think_tags` says so, which goes before. Where `reasoning_content` or `reasoning` come, the text is left as it is. At a channel of `openai`,
`custom_openai` or another without quirks in its operator's own network (a private address, a name without a dot or under `.local`, `.internal`, `.svc` and their like) the models of
vLLM are taken to think so, too, in answers that begin with `<think>`. Where a model's template opens the tag, answers have `</think>` alone. A whole one of the models
that vLLM says it of, at channels that name vLLM, SGLang, LM Studio, llamafile or Xinference, is told apart by that, unless it begins as JSON does; without the tag it is text, and a stream
that doesn't begin with `<think>` is text as well: nothing tells its thoughts before they end. Where the template is known to open the tag, `think_tags: opened` says so: then all of a stream
is thought up to the tag, and all of a whole answer that was cut off before it. `tagged` keeps to answers that begin with `<think>`, and `none` to texts as they are.

";

/// `docs/providers.md`.
pub(crate) fn manual(facts: &Facts) -> String {
    let mut out = String::from(INTRO);
    let served = facts.rows.iter().filter(|row| is_served(row)).count();
    let _ = writeln!(out, "{} providers, {served} of them served.\n", facts.rows.len());
    let named: [(&str, &[&str]); 5] = [
        ("China", &["cn"]),
        ("Chinese companies' international sites", &["intl"]),
        ("Worldwide", &["global", "any"]),
        ("Europe, America, Asia", &["br", "eu", "id", "in", "jp", "kr", "ru", "us"]),
        ("On your own machines", &["local"]),
    ];
    for (title, regions) in named {
        let _ = writeln!(
            out,
            "## {title}\n\n| id | name | formats | address | key variable | other names | New API | family | source |\n|---|---|---|---|---|---|---|---|---|"
        );
        for row in facts.rows.iter().filter(|row| regions.contains(&row.cell("region"))) {
            let _ = writeln!(out, "{}", row_of(row));
        }
        out.push('\n');
    }
    out.push_str(ORDER);
    for family in facts.families.iter().filter(|family| !family.quirks.is_empty()) {
        let _ = writeln!(
            out,
            "### {}\n\nOf {}; [source]({}), read {}.\n",
            family.family,
            family.providers.iter().map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", "),
            family.source,
            family.checked
        );
        lines(&family.quirks).iter().for_each(|line| {
            let _ = writeln!(out, "- {line}");
        });
        out.push('\n');
    }
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

fn is_served(row: &Row) -> bool {
    sluicegate_config::provider(row.id()).is_some_and(|provider| provider.is_served())
}

fn row_of(row: &Row) -> String {
    let list = |text: &str| text.split('|').filter(|it| !it.is_empty()).collect::<Vec<_>>().join(", ");
    let code = |text: &str| if text.is_empty() { String::new() } else { format!("`{text}`") };
    let formats: BTreeSet<&str> = sluicegate_config::provider(row.id())
        .map(|provider| provider.formats().into_iter().map(|(format, _)| format).collect())
        .unwrap_or_default();
    let formats = match formats.is_empty() || !is_served(row) {
        true => "*not yet*".to_owned(),
        false => formats.into_iter().collect::<Vec<_>>().join(", "),
    };
    let base = match row.cell("base_url") {
        "" => "*yours*".to_owned(),
        base => code(base),
    };
    [
        code(row.id()),
        row.cell("name").to_owned(),
        formats,
        base,
        code(row.cell("key_variable")),
        list(row.cell("aliases")),
        list(row.cell("newapi_types")),
        row.family.clone(),
        format!("[{}]({})", row.cell("checked"), row.cell("source")),
    ]
    .iter()
    .fold("|".to_owned(), |line, cell| format!("{line} {cell} |"))
}

/// Each quirk in words.
fn lines(quirks: &Quirks) -> Vec<String> {
    let mut lines: Vec<String> = quirks.request.iter().map(request).collect();
    lines.extend(
        quirks.headers.iter().map(|it| format!("`{}`: sends the header `{}: {}`", it.id, it.name, it.value)),
    );
    lines.extend(quirks.usage.iter().map(|it| match &it.counts {
        UsageCounts::ReasoningBeside => {
            format!("`{}`: reasoning tokens come on top of the completion's", it.id)
        }
        UsageCounts::MoreInput(field) => format!("`{}`: `{field}` counts further input", it.id),
        UsageCounts::AskedCache(hundredths) => {
            format!("`{}`: what is read from a cache that was asked for (`cache_type`) costs at most {hundredths} % of input", it.id)
        }
    }));
    lines.extend(quirks.finish.iter().map(|it| {
        let means = match it.means {
            Finish::Stop => "`stop`",
            Finish::Length => "`length`",
            Finish::ToolCalls => "`tool_calls`",
            Finish::ContentFilter => "`content_filter`",
            Finish::Failed => "failed",
        };
        format!("`{}`: the end `{}` means {means}", it.id, it.word)
    }));
    lines.extend(quirks.think_tags.iter().map(|it| {
        let how = if it.closing {
            ", and of whole answers also what stands before a closing tag alone"
        } else {
            ""
        };
        format!("`{}`: reasoning stands in the text{how}{}", it.id, models(&it.models))
    }));
    lines.extend(quirks.thinking.iter().map(thinking));
    lines.extend(quirks.beside.iter().map(beside));
    lines.extend(quirks.searches.iter().map(|it| {
        let formats = quoted(it.formats.iter().map(|it| it.as_str()));
        format!(
            "`{}`: searches the web by itself, in {formats}{}; [source]({}), read {}",
            it.id,
            models(&it.models),
            it.source,
            it.checked
        )
    }));
    lines.extend(quirks.parameters.iter().map(parameter));
    lines.extend(errors(&quirks.errors));
    lines
}

/// How models are told to think, in words.
fn thinking(rule: &ThinkingQuirk) -> String {
    let fields = |fields: &serde_json::Map<String, serde_json::Value>| {
        quoted(
            fields
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str),
        )
    };
    let mut said = vec![match (rule.on.is_empty(), rule.off.is_empty()) {
        (true, true) if rule.never => "doesn't think".to_owned(),
        (true, true) => "thinks anyhow".to_owned(),
        (false, true) => format!("thinks anyhow, told by {}", fields(&rule.on)),
        (true, false) => format!("thinks unless {}", fields(&rule.off)),
        (false, false) => format!("thinks by {}, not by {}", fields(&rule.on), fields(&rule.off)),
    }];
    said.extend(rule.budget.iter().map(|field| format!("as many tokens as `{field}` says")));
    if !rule.efforts.is_empty() {
        let field = rule.effort.as_ref().map_or(String::new(), |field| format!(" in `{field}`"));
        said.push(format!("efforts{field} are {}", quoted(rule.efforts.iter().map(String::as_str))));
    }
    if rule.unforced {
        let may_stop = !rule.off.is_empty();
        let how = if may_stop {
            "never where a call of a tool is demanded"
        } else {
            "no call of a tool can be demanded"
        };
        said.push(how.to_owned());
    }
    format!("`{}`: {}{}; in translation", rule.id, said.join(", "), models(&rule.models))
}

/// What is taken in translated requests, in words.
fn parameter(rule: &ParameterQuirk) -> String {
    let said = [("takes", &rule.takes), ("doesn't take", &rule.lacks)].into_iter();
    let said = said.filter(|(_, what)| !what.is_empty());
    let said: Vec<_> =
        said.map(|(verb, what)| format!("{verb} {}", quoted(what.iter().map(|it| it.as_str())))).collect();
    format!(
        "`{}`: {} in translation, in {}{}; [source]({}), read {}",
        rule.id,
        said.join(", "),
        quoted(rule.formats.iter().map(|it| it.as_str())),
        models(&rule.models),
        rule.source,
        rule.checked
    )
}

/// What is reserved on top of the ceiling, in words.
fn beside(rule: &BesideQuirk) -> String {
    let when = match rule.by_itself {
        ByItself::Always => "unless it is told not to think",
        ByItself::Streamed => "where it is told to think, or not told and streamed",
        ByItself::Never => "where it is told to think",
    };
    let budget = if rule.budget { ", and no more than the budget" } else { "" };
    let covered = match rule.covered {
        None => "",
        Some(true) => " where one is sent that covers thoughts",
        Some(false) => " where none is sent that covers thoughts",
    };
    format!(
        "`{}`: up to {} tokens of thought come on top of the ceiling{covered}, and are reserved{budget}, {when}, in {}{}; [source]({}), read {}",
        rule.id,
        rule.most,
        quoted(rule.formats.iter().map(|it| it.as_str())),
        models(&rule.models),
        rule.source,
        rule.checked
    )
}

fn models(patterns: &[String]) -> String {
    match patterns {
        [] => String::new(),
        some => format!(", for {}", quoted(some.iter().map(String::as_str))),
    }
}

fn quoted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

fn request(rule: &RequestQuirk) -> String {
    let what = match &rule.change {
        RequestChange::Rename { from, to } => format!("`{from}` is sent as `{to}`"),
        RequestChange::Drop(paths) => {
            format!(
                "{} {} not sent",
                quoted(paths.iter().map(String::as_str)),
                if paths.len() > 1 { "are" } else { "is" }
            )
        }
        RequestChange::Clamp { field, min, max } => match (min, max) {
            (Some(min), Some(max)) => format!("`{field}` is kept between {min} and {max}"),
            (Some(min), None) => format!("`{field}` is at least {min}"),
            (None, Some(max)) => format!("`{field}` is at most {max}"),
            (None, None) => format!("`{field}`"),
        },
        RequestChange::Default { field, value } => {
            format!("`{field}` is `{value}` unless the caller names it")
        }
        RequestChange::Map { field, from, to } => {
            let from = from.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
            match to {
                Some(to) => format!("{from} in `{field}` becomes `{to}`"),
                None => format!("`{field}` is not sent when it is {from}"),
            }
        }
        RequestChange::Reasoning { text } => {
            format!(
                "the assistant's turns carry `reasoning_content` from the first that calls tools on: the thought, in translation, `{text:?}` where there is none"
            )
        }
        RequestChange::CallIds { length } => {
            format!(
                "ids of calls have {length} letters and digits: others are hashed, in the call and in its result"
            )
        }
        RequestChange::Between { text } => {
            format!("where a user's turn follows results of tools the assistant says `{text}` between them")
        }
        RequestChange::Begun { field } => {
            format!("a last turn of the assistant's is marked by `{field}` as the beginning of the answer")
        }
        RequestChange::StreamOnly => "is asked for a stream whatever the caller asked for".to_owned(),
    };
    let when: String = rule
        .when
        .iter()
        .map(|when| {
            let list = |values: &[serde_json::Value]| {
                values.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
            };
            let (is, not) = (list(&when.is), list(&when.not));
            match (is.is_empty(), not.is_empty()) {
                (false, _) => format!(", when `{}` is {is}", when.field),
                (true, _) => format!(", unless `{}` is {not}", when.field),
            }
        })
        .collect();
    let formats = match rule.formats.as_slice() {
        [sluicegate_core::Format::OpenaiChat] => String::new(),
        others => format!(", in {}", quoted(others.iter().map(|it| it.as_str()))),
    };
    format!("`{}`: {what}{}{when}{formats}", rule.id, models(&rule.models))
}

/// Errors, by what they mean.
fn errors(rules: &[ErrorQuirk]) -> Vec<String> {
    let mut by_class: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for rule in rules {
        let class = serde_json::to_string(&rule.class).unwrap_or_default().replace('"', "");
        let mut parts = Vec::new();
        if !rule.status.is_empty() {
            let statuses: Vec<String> = rule.status.iter().map(u16::to_string).collect();
            parts.push(format!("status {}", statuses.join(" or ")));
        }
        if !rule.code.is_empty() {
            parts.push(quoted(rule.code.iter().map(String::as_str)));
        }
        if !rule.text.is_empty() {
            let texts: Vec<String> = rule.text.iter().map(|text| format!("\"{text}\"")).collect();
            parts.push(texts.join(", "));
        }
        by_class.entry(class).or_default().push(format!("{} (`{}`)", parts.join(" with "), rule.id));
    }
    by_class
        .into_iter()
        .map(|(class, rules)| format!("errors of class `{class}`: {}", rules.join("; ")))
        .collect()
}
