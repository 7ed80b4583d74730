//! A copy of the workspace with every fault in it, each behind a switch.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::data::Mutant;

/// The variable that holds the number of the fault that is switched on.
pub(crate) const SWITCH: &str = "SLUICEGATE_MUTANT";

/// Where the switch itself goes.
const CORE: &str = "core/src/lib.rs";

/// Makes `to` a copy of `from`. What is the same already stays untouched, so that cargo builds only what changed.
pub(crate) fn workspace(from: &Path, to: &Path, mutants: &[Mutant]) -> Result<(), String> {
    let (mut wanted, mut present) = (BTreeSet::new(), BTreeSet::new());
    list(from, Path::new(""), &mut wanted)?;
    if to.is_dir() {
        list(to, Path::new(""), &mut present)?;
    }
    if let Some(mutant) = mutants.iter().find(|mutant| !wanted.contains(Path::new(&mutant.file))) {
        return Err(format!("mutant `{}` is for `{}`, which isn't there", mutant.name, mutant.file));
    }
    for gone in present.difference(&wanted) {
        let gone = to.join(gone);
        std::fs::remove_file(&gone).map_err(|e| format!("cannot remove `{}`: {e}", gone.display()))?;
    }
    for path in &wanted {
        let source = from.join(path);
        let mut bytes =
            std::fs::read(&source).map_err(|e| format!("cannot read `{}`: {e}", source.display()))?;
        let theirs: Vec<_> =
            mutants.iter().enumerate().filter(|(_, it)| Path::new(&it.file) == path).collect();
        if !theirs.is_empty() || path == Path::new(CORE) {
            let text = String::from_utf8(bytes).map_err(|_| format!("`{}` isn't text", path.display()))?;
            bytes = switched(&text, path, &theirs)?.into_bytes();
        }
        write(&to.join(path), &bytes)?;
    }
    Ok(())
}

/// The text with each fault beside what it replaces.
fn switched(text: &str, path: &Path, mutants: &[(usize, &Mutant)]) -> Result<String, String> {
    let mut places = Vec::new();
    for (number, mutant) in mutants {
        let Mutant { name, behind, find, replace, .. } = *mutant;
        let whole = format!("{behind}{find}");
        let mut found = text.match_indices(&whole).map(|(at, _)| at + behind.len());
        let (Some(at), None) = (found.next(), found.next()) else {
            return Err(format!("mutant `{name}`: its text must stand exactly once in `{}`", path.display()));
        };
        let switch = if path.starts_with("core/src") { "crate" } else { "sluicegate_core" };
        let either = format!("if {switch}::mutant({number}) {{ {replace} }} else {{ {find} }}");
        // A statement in parentheses would be none.
        let either = if find.ends_with(';') { either } else { format!("({either})") };
        places.push((at, find.len(), either));
    }
    places.sort_unstable_by_key(|(at, ..)| *at);
    if let Some(pair) = places.windows(2).find(|pair| pair[0].0 + pair[0].1 > pair[1].0) {
        return Err(format!("two mutants share a place in `{}`, near byte {}", path.display(), pair[1].0));
    }
    let mut text = text.to_owned();
    for (at, len, either) in places.iter().rev() {
        text.replace_range(*at..at + len, either);
    }
    if path == Path::new(CORE) {
        text.push_str(&format!(
            "
/// Whether this fault is switched on.
pub fn mutant(number: usize) -> bool {{
    static ON: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var(\"{SWITCH}\").ok()?.parse().ok()) == Some(number)
}}
"
        ));
    }
    Ok(text)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if std::fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let failed = |e: std::io::Error| format!("cannot write `{}`: {e}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, bytes).map_err(failed)
}

/// The files below a folder, without what is built or hidden.
fn list(root: &Path, below: &Path, files: &mut BTreeSet<PathBuf>) -> Result<(), String> {
    let folder = root.join(below);
    let failed = |e: std::io::Error| format!("cannot read `{}`: {e}", folder.display());
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        if ["target", "node_modules", "data"].contains(&&*shown)
            && (shown != "data" || below.as_os_str().is_empty())
            || shown.starts_with('.')
        {
            continue;
        }
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            list(root, &below.join(&name), files)?;
        } else if kind.is_file() {
            files.insert(below.join(&name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(behind: &str, find: &str, replace: &str) -> Mutant {
        let text = |it: &str| it.to_owned();
        Mutant { behind: text(behind), find: text(find), replace: text(replace), ..Mutant::default() }
    }

    #[test]
    fn each_fault_stands_behind_its_switch() {
        let (one, two) = (mutant("", "a + b", "a"), mutant("y; ", "f();", ""));
        let text =
            switched("x = a + b; f(); y; f();", Path::new("policy/src/lib.rs"), &[(3, &one), (4, &two)]);
        let want = "x = (if sluicegate_core::mutant(3) { a } else { a + b }); f(); \
                    y; if sluicegate_core::mutant(4) {  } else { f(); }";
        assert_eq!(text.unwrap(), want);
    }

    #[test]
    fn a_place_that_is_not_there_or_not_one_is_refused() {
        for (text, find) in [("a", "b"), ("b b", "b")] {
            assert!(switched(text, Path::new("x"), &[(0, &mutant("", find, ""))]).is_err(), "{text}");
        }
        let (one, two) = (mutant("", "a + b", ""), mutant("", "b + c", ""));
        assert!(switched("a + b + c", Path::new("x"), &[(0, &one), (1, &two)]).is_err(), "they overlap");
    }
}
