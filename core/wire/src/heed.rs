//! What a request says that some formats have no place for, whatever it came in: put otherwise, or named, before it is written.

use sluicegate_core::Format;

use crate::ir::{Block, Request, Role};
use crate::loss::Losses;

const NO_PLACE: &str = "the target has no place for it";

/// Puts the request as the target can be told it.
pub(crate) fn heed(request: &mut Request, target: Format, losses: &mut Losses) {
    if target != Format::OpenaiResponses {
        let safety_id = request.safety_id.take();
        request.user = request.user.take().or(safety_id);
        for (name, said) in [
            ("metadata", request.metadata.take()),
            ("prompt_cache_retention", request.cache_retention.take()),
        ] {
            if said.is_some() {
                losses.dropped(name, NO_PLACE);
            }
        }
    }
    if !matches!(target, Format::OpenaiChat | Format::OpenaiResponses) {
        note_details(request, losses);
    }
    if matches!(target, Format::AnthropicMessages | Format::GeminiGenerate) {
        speak(request, losses);
    }
}

fn note_details(request: &Request, losses: &mut Losses) {
    for (at, turn) in request.messages.iter().enumerate() {
        let mut inner = turn.blocks.iter().flat_map(|block| match block {
            Block::ToolResult { content, .. } => content.as_slice(),
            other => std::slice::from_ref(other),
        });
        if inner.any(|block| matches!(block, Block::Image { detail: Some(_), .. })) {
            losses.dropped(format!("messages[{at}].detail"), "the target chooses the resolution itself");
        }
    }
}

/// A system prompt that nothing follows is no call there.
fn speak(request: &mut Request, losses: &mut Losses) {
    if !request.messages.is_empty() || request.system.iter().all(|said| said.text.trim().is_empty()) {
        return;
    }
    losses.approximated("messages", "the system prompt stands alone: it is sent as the user's turn");
    let said = std::mem::take(&mut request.system).into_iter();
    let said = said.filter(|said| !said.text.trim().is_empty());
    request.add(
        Role::User,
        said.map(|said| Block::Text { text: said.text, cache: said.cache }).collect::<Vec<_>>(),
    );
}
