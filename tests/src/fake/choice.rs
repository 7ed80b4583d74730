//! What the real services refuse of choices among tools, and of numbers out of their range.

use serde_json::Value;

/// A choice of chat completions; `takes_lists`: among some of the tools, which OpenAI alone knows.
pub(super) fn chat(body: &Value, takes_lists: bool) -> Result<(), String> {
    let choice = &body["tool_choice"];
    if choice.is_null() || is_word(body, &["none", "auto", "required"])? {
        return Ok(());
    }
    let kind = choice["type"].as_str().unwrap_or_default();
    match kind {
        "function" | "custom" => declared(body, &choice[kind]["name"], kind),
        "allowed_tools" if takes_lists => {
            let allowed = &choice["allowed_tools"];
            mode(&allowed["mode"])?;
            let tools = allowed["tools"]
                .as_array()
                .ok_or("Missing required parameter: 'tool_choice.allowed_tools.tools'.")?;
            tools.iter().try_for_each(|tool| {
                let kind = tool["type"].as_str().unwrap_or_default();
                declared(body, &tool[kind]["name"], kind)
            })
        }
        _ => Err(format!("Invalid value for 'tool_choice': {choice}.")),
    }
}

/// A choice of responses. Tools that OpenAI runs are chosen by their type.
pub(super) fn responses(body: &Value) -> Result<(), String> {
    let choice = &body["tool_choice"];
    if choice.is_null() || is_word(body, &["none", "auto", "required"])? {
        return Ok(());
    }
    let of_type = |kind: &str| {
        let mut tools = body["tools"].as_array().into_iter().flatten();
        match tools.any(|tool| tool["type"] == kind) {
            true => Ok(()),
            false => Err(format!("Tool choice '{kind}' not found in 'tools' parameter.")),
        }
    };
    let one = |tool: &Value| match tool["type"].as_str().unwrap_or_default() {
        kind @ ("function" | "custom") => declared(body, &tool["name"], kind),
        kind => of_type(kind),
    };
    match choice["type"].as_str().unwrap_or_default() {
        "allowed_tools" => {
            mode(&choice["mode"])?;
            let tools =
                choice["tools"].as_array().ok_or("Missing required parameter: 'tool_choice.tools'.")?;
            tools.iter().try_for_each(one)
        }
        "" => Err(format!("Invalid value for 'tool_choice': {choice}.")),
        _ => one(choice),
    }
}

/// A choice of Anthropic's.
pub(super) fn anthropic(body: &Value) -> Result<(), String> {
    let choice = &body["tool_choice"];
    if choice.is_null() {
        return Ok(());
    }
    let has_tools = body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    match choice["type"].as_str() {
        _ if !has_tools => Err("tool_choice may only be specified while providing tools".into()),
        Some("auto" | "any" | "none") => Ok(()),
        Some("tool") => {
            let mut tools = body["tools"].as_array().into_iter().flatten();
            match tools.any(|tool| tool["name"].is_string() && tool["name"] == choice["name"]) {
                true => Ok(()),
                false => Err(format!("Tool '{}' not found in provided tools", choice["name"])),
            }
        }
        _ => Err(
            "tool_choice: Input tag does not match any of the expected tags: 'auto', 'any', 'tool', 'none'"
                .into(),
        ),
    }
}

/// Numbers have their ranges.
pub(super) fn ranges(body: &Value, known: &[(&str, f64, f64)]) -> Result<(), String> {
    for (name, least, most) in known {
        let number = &body[*name];
        let fits = number.as_f64().is_some_and(|n| (*least..=*most).contains(&n));
        if !number.is_null() && !fits {
            return Err(format!("Invalid '{name}': {number} isn't a number from {least} to {most}."));
        }
    }
    Ok(())
}

/// Whether the choice is a word; one that isn't known is refused, and any where there are no tools.
fn is_word(body: &Value, known: &[&str]) -> Result<bool, String> {
    let choice = &body["tool_choice"];
    if body["tools"].as_array().is_none_or(Vec::is_empty) {
        return Err("'tool_choice' is only allowed when 'tools' are specified.".into());
    }
    match choice.as_str() {
        Some(word) if known.contains(&word) => Ok(true),
        Some(word) => Err(format!("Invalid value: '{word}' in 'tool_choice'.")),
        None => Ok(false),
    }
}

fn mode(mode: &Value) -> Result<(), String> {
    match mode.as_str() {
        Some("auto" | "required") => Ok(()),
        _ => Err(format!("Invalid value: {mode} in the mode of 'tool_choice'.")),
    }
}

/// The choice names a tool that is declared, in chat within what its kind is called by.
fn declared(body: &Value, name: &Value, kind: &str) -> Result<(), String> {
    let mut tools = body["tools"].as_array().into_iter().flatten();
    let is_it = |tool: &Value| {
        name.is_string() && (tool[kind]["name"] == *name || tool["type"] == kind && tool["name"] == *name)
    };
    match tools.any(is_it) {
        true => Ok(()),
        false => Err(format!("Tool choice '{name}' not found in 'tools' parameter.")),
    }
}
