//! `prices`: the built-in list shown, other systems' taken over, two lists compared. All of it without a gateway.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use sluicegate::ConfigText;
use sluicegate::config::{
    Environment, ListedPrice, PriceChange, PriceDifference, PriceFile, PriceFormat, Source, built_in_prices,
    compare_prices, price_list, price_yaml, provider, read_prices, write_prices,
};

use super::Report;
use crate::args::prices::{Diff, Format, Import, Prices, PricesCommand, Show};
use crate::client::Failure;

/// What stands for the built-in list where a file could stand.
const BUILT_IN: &str = "built-in";

/// Lists differ.
const DIFFERENT: u8 = 1;
/// A list can't be read.
const UNREADABLE: u8 = 2;

/// Does what was asked.
pub(crate) fn run(args: &Prices) -> ExitCode {
    match &args.command {
        PricesCommand::Show(args) => show(args).tell(),
        PricesCommand::Import(args) => super::exit(import(args)),
        PricesCommand::Diff(args) => match diff(args) {
            Ok((text, same)) => {
                out!("{text}");
                if same { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) }
            }
            Err(failure) => {
                eprintln!("error: {failure}");
                ExitCode::from(UNREADABLE)
            }
        },
    }
}

fn show(args: &Show) -> Report {
    let list = price_list();
    let lists: Option<Vec<&str>> = match args.provider.as_deref() {
        None => None,
        Some(name) => match provider(name) {
            Some(found) => Some(found.prices().collect()),
            // A name of the list itself, such as `bedrock_converse`.
            None => Some(vec![name]),
        },
    };
    let of_provider = |it: &ListedPrice| {
        lists.as_ref().is_none_or(|lists| it.provider.as_deref().is_some_and(|id| lists.contains(&id)))
    };
    let of_model = |it: &ListedPrice| match args.model.as_deref() {
        None => true,
        Some(pattern) => match pattern.strip_suffix('*') {
            Some(start) => it.model.starts_with(start),
            None => it.model == pattern,
        },
    };
    let found: Vec<_> = built_in_prices().into_iter().filter(|it| of_provider(it) && of_model(it)).collect();
    let verdict = if found.is_empty() {
        let remedy = "`sluicegate prices show` lists them all; names may end in `*`";
        Err(format!("the built-in price list has no such price; {remedy}"))
    } else {
        Ok(())
    };
    if args.json {
        let text = json!({"version": list.version, "date": list.date, "prices": found});
        return Report { text: format!("{text:#}"), verdict };
    }
    let mut text = format!("price list {} of {}, USD per million tokens", list.version, list.date);
    for it in &found {
        let provider = it.provider.as_deref().unwrap_or("*");
        let _ = write!(text, "\n{provider}/{}: {}", it.model, price_yaml(&it.price));
    }
    Report { text, verdict }
}

fn import(args: &Import) -> Result<(), Failure> {
    let file = read(&args.file, args.format.map(format_of))?;
    let text = write_prices(&file.prices);
    match &args.out {
        None => out!("{}", text.trim_end()),
        Some(path) => {
            let create = fs::OpenOptions::new().write(true).create_new(true).open(path);
            create
                .and_then(|mut out| out.write_all(text.as_bytes()))
                .map_err(|error| format!("`{}` can't be written: {error}", path.display()))?;
            eprintln!("wrote {} prices to {}", file.prices.len(), path.display());
        }
    }
    Ok(())
}

/// What differs, in words or for programs, and whether nothing does.
fn diff(args: &Diff) -> Result<(String, bool), Failure> {
    let (before, after) = (listed(&args.before)?, listed(&args.after)?);
    let differences = compare_prices(&before, &after);
    let text = if args.json { format!("{:#}", json!(differences)) } else { in_words(&differences) };
    Ok((text, differences.is_empty()))
}

fn listed(path: &Path) -> Result<Vec<ListedPrice>, Failure> {
    if path.as_os_str() == BUILT_IN {
        return Ok(built_in_prices());
    }
    Ok(read(path, None)?.prices)
}

/// The prices of a file; what there is to say about it goes to standard error.
fn read(path: &Path, format: Option<PriceFormat>) -> Result<PriceFile, Failure> {
    let config = ConfigText::read(path).map_err(|error| error.to_string())?;
    let variable = |name: &str| std::env::var(name).ok();
    let source = Source { path: &config.path, text: &config.text };
    let file = read_prices(source, format, &Environment::new(&variable));
    for diagnostic in &file.diagnostics {
        eprintln!("{diagnostic}");
    }
    if file.has_errors() {
        return Err(format!("`{}` can't be used as it is", path.display()));
    }
    Ok(file)
}

fn format_of(format: Format) -> PriceFormat {
    match format {
        Format::Native => PriceFormat::Native,
        Format::Litellm => PriceFormat::Litellm,
        Format::Newapi => PriceFormat::Newapi,
    }
}

fn in_words(differences: &[PriceDifference]) -> String {
    let mut text = String::new();
    let mut counts = [0usize; 5];
    for it in differences {
        let (at, word) = match it.change {
            PriceChange::Dearer => (0, "dearer"),
            PriceChange::Cheaper => (1, "cheaper"),
            PriceChange::Mixed => (2, "mixed"),
            PriceChange::New => (3, "new"),
            PriceChange::Gone => (4, "gone"),
        };
        if let Some(count) = counts.get_mut(at) {
            *count += 1;
        }
        let provider = it.provider.as_deref().unwrap_or("*");
        let _ = writeln!(text, "{word:<8}{provider}/{}", it.model);
        for rate in &it.rates {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
            let _ =
                writeln!(text, "        {}: {} -> {}", rate.rate, shown(&rate.before), shown(&rate.after));
        }
    }
    let [dearer, cheaper, mixed, new, gone] = counts;
    let _ = write!(text, "{dearer} dearer, {cheaper} cheaper, {mixed} mixed, {new} new, {gone} gone");
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(name: &str, text: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sluicegate-prices-{name}-{}", std::process::id()));
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_list_says_which_it_is_and_what_a_model_costs() {
        let of = |model: &str, provider: Option<&str>, json| {
            show(&Show { model: Some(model.to_owned()), provider: provider.map(str::to_owned), json })
        };
        let one = of("claude-opus-4-8", Some("anthropic"), false);
        assert_eq!(one.verdict, Ok(()));
        assert!(one.text.starts_with(&format!("price list {} of 20", price_list().version)), "{}", one.text);
        assert!(one.text.contains("anthropic/claude-opus-4-8: {input: 5, output: 25,"), "{}", one.text);
        assert_eq!(one.text.lines().count(), 2, "{}", one.text);
        let several: serde_json::Value =
            serde_json::from_str(&of("claude-opus-4*", None, true).text).unwrap();
        assert!(several["prices"].as_array().unwrap().len() > 3, "{several}");
        assert!(of("no-such-model", None, false).verdict.is_err());
    }

    #[test]
    fn what_is_imported_differs_from_nothing_and_is_not_written_over() {
        let map = r#"{"sample_spec": {"mode": "chat"},
            "gpt-x": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05,
              "input_cost_per_token_flex": 1.25e-06, "output_cost_per_token_flex": 5e-06},
            "tts-x": {"litellm_provider": "openai", "mode": "audio_speech", "input_cost_per_character": 1e-05}}"#;
        let from = file("map.json", map);
        let out = file("out.yaml", "");
        fs::remove_file(&out).unwrap();
        let args = Import { file: from.clone(), format: None, out: Some(out.clone()) };
        import(&args).unwrap();
        let written = fs::read_to_string(&out).unwrap();
        assert!(written.contains("service_tiers: [{tier: flex, input: 1.25, output: 5}]"), "{written}");
        assert!(import(&args).unwrap_err().contains("can't be written"));
        let same = diff(&Diff { before: from.clone(), after: out.clone(), json: false }).unwrap();
        assert_eq!(same, ("0 dearer, 0 cheaper, 0 mixed, 0 new, 0 gone".to_owned(), true));
        let against = diff(&Diff { before: BUILT_IN.into(), after: out.clone(), json: true }).unwrap();
        assert!(!against.1 && against.0.contains("\"change\": \"new\""));
        fs::write(&out, written.replace("input: 2.5,", "input: 3,")).unwrap();
        let dearer = diff(&Diff { before: from.clone(), after: out.clone(), json: false }).unwrap();
        assert!(dearer.0.contains("dearer  openai/gpt-x\n        input: 2.5 -> 3\n"), "{}", dearer.0);
        assert!(diff(&Diff { before: "/no/such".into(), after: out.clone(), json: false }).is_err());
        for path in [from, out] {
            fs::remove_file(path).unwrap();
        }
    }
}
