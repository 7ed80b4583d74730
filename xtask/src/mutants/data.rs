//! The faults, as data.

/// One fault.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Mutant {
    pub(crate) name: String,
    /// What it does, for people.
    pub(crate) why: String,
    pub(crate) file: String,
    /// What stands right before the place, where `find` alone stands at several.
    pub(crate) behind: String,
    pub(crate) find: String,
    pub(crate) replace: String,
}

/// Reads as much of TOML as the file needs: tables of basic strings.
pub(crate) fn parse(text: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for (number, line) in
        (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    {
        let wrong = |what: &str| format!("tests/data/mutants.toml, line {number}: {what}");
        if line == "[[mutant]]" {
            mutants.push(Mutant::default());
            continue;
        }
        let (key, value) = line.split_once(" = ").ok_or_else(|| wrong("`key = \"value\"` is expected"))?;
        let mutant = mutants.last_mut().ok_or_else(|| wrong("`[[mutant]]` must come first"))?;
        let field = match key {
            "name" => &mut mutant.name,
            "why" => &mut mutant.why,
            "file" => &mut mutant.file,
            "behind" => &mut mutant.behind,
            "find" => &mut mutant.find,
            "replace" => &mut mutant.replace,
            _ => return Err(wrong("a mutant has name, why, file, behind, find and replace")),
        };
        *field = unquote(value).ok_or_else(|| wrong("a string in double quotes is expected"))?;
    }
    match mutants.iter().find(|it| [&it.name, &it.why, &it.file, &it.find].iter().any(|it| it.is_empty())) {
        Some(mutant) => Err(format!("mutant `{}` needs name, why, file and find", mutant.name)),
        None => Ok(mutants),
    }
}

fn unquote(quoted: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = quoted.strip_prefix('"')?.strip_suffix('"')?.chars();
    while let Some(char) = chars.next() {
        text.push(match char {
            '\\' => match chars.next()? {
                'n' => '\n',
                escaped @ ('"' | '\\') => escaped,
                _ => return None,
            },
            '"' => return None,
            plain => plain,
        });
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_is_read_whole_or_refused() {
        let whole =
            "# note\n\n[[mutant]]\nname = \"a\"\nwhy = \"b\"\nfile = \"c\"\nfind = \"\\\"d\\n\\\\\"\n";
        let mutants = parse(whole).unwrap();
        assert_eq!(
            (mutants.len(), mutants[0].find.as_str(), mutants[0].replace.as_str()),
            (1, "\"d\n\\", "")
        );
        for broken in
            ["name = \"a\"", "[[mutant]]\nname = 'a'", "[[mutant]]\nnote = \"a\"", "[[mutant]]\nname = \"a\""]
        {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
