//! Calls of tools and their results: upstreams refuse either without the other.

use std::collections::{HashMap, HashSet, VecDeque};

use super::{Block, Message, Request, Role};
use crate::loss::Losses;

const NO_RESULT: &str = "a call without a result is answered with an error";
const NO_CALL: &str = "a result without its call becomes text";

impl Request {
    /// Gives each call an id of its own, in the call and in its result: of several with one id those behind the first are numbered.
    /// `across`: also where they stand in several turns.
    pub(crate) fn distinguish(&mut self, across: bool) {
        let mut taken: HashSet<String> = HashSet::new();
        let mut next: HashMap<String, usize> = HashMap::new();
        let mut open: HashMap<String, VecDeque<String>> = HashMap::new();
        for turn in &mut self.messages {
            match turn.role {
                Role::Assistant => {
                    // Those of a turn with many calls would be cleared in as much time by each behind it.
                    open = HashMap::new();
                    if !across {
                        (taken, next) = (HashSet::new(), HashMap::new());
                    }
                    for block in &mut turn.blocks {
                        let Block::ToolUse { id, .. } = block else { continue };
                        let own = free(id, &taken, &mut next);
                        taken.insert(own.clone());
                        open.entry(std::mem::replace(id, own.clone())).or_default().push_back(own);
                    }
                }
                Role::User => {
                    for block in &mut turn.blocks {
                        let Block::ToolResult { id, .. } = block else { continue };
                        if let Some(own) = open.get_mut(id.as_str()).and_then(VecDeque::pop_front) {
                            *id = own;
                        }
                    }
                }
            }
        }
    }

    /// Gives each call one result in the turn behind it: an error where there is none. A result that answers no call of the turn
    /// before it becomes text.
    pub(crate) fn pair(&mut self, losses: &mut Losses) {
        let mut open: Vec<String> = Vec::new();
        let turns = std::mem::take(&mut self.messages);
        let count = turns.len();
        for (at, mut turn) in turns.into_iter().enumerate() {
            let path = format!("messages[{at}]");
            match turn.role {
                Role::User => answer(&mut turn, std::mem::take(&mut open), &path, losses),
                Role::Assistant => open = calls_of(&turn),
            }
            self.messages.push(turn);
            if at + 1 == count && !open.is_empty() {
                let mut last = Message { role: Role::User, blocks: Vec::new() };
                answer(&mut last, std::mem::take(&mut open), &path, losses);
                self.messages.push(last);
            }
        }
    }
}

/// An id that isn't taken. `next` is the number from which the search goes on: what is taken stays so.
fn free(id: &str, taken: &HashSet<String>, next: &mut HashMap<String, usize>) -> String {
    if !taken.contains(id) {
        return id.to_owned();
    }
    let n = next.entry(id.to_owned()).or_insert(2);
    // BOUND: each turn passes a number for good, of which no more are taken than there are calls.
    loop {
        let other = format!("{id}_{n}");
        *n += 1;
        if !taken.contains(&other) {
            return other;
        }
    }
}

fn calls_of(turn: &Message) -> Vec<String> {
    let calls = turn.blocks.iter().filter_map(|block| match block {
        Block::ToolUse { id, .. } => Some(id.clone()),
        _ => None,
    });
    calls.collect()
}

/// Puts the results of a turn right.
fn answer(turn: &mut Message, open: Vec<String>, path: &str, losses: &mut Losses) {
    let has_results = turn.blocks.iter().any(|block| matches!(block, Block::ToolResult { .. }));
    if open.is_empty() && !has_results {
        return;
    }
    let known: HashSet<&str> = open.iter().map(String::as_str).collect();
    let mut answered: HashSet<String> = HashSet::new();
    let mut blocks = Vec::with_capacity(turn.blocks.len());
    for block in std::mem::take(&mut turn.blocks) {
        let Block::ToolResult { id, content, is_error, cache } = block else {
            blocks.push(block);
            continue;
        };
        if known.contains(id.as_str()) && answered.insert(id.clone()) {
            blocks.push(Block::ToolResult { id, content, is_error, cache });
            continue;
        }
        losses.approximated(path, NO_CALL);
        stray(&mut blocks, content, cache);
    }
    let missing = open.into_iter().filter(|id| !answered.contains(id)).map(|id| {
        losses.approximated(path, NO_RESULT);
        Block::ToolResult {
            id,
            content: vec![Block::text("there is no result")],
            is_error: true,
            cache: None,
        }
    });
    let missing: Vec<Block> = missing.collect();
    turn.blocks = missing.into_iter().chain(blocks).collect();
}

/// What a result holds, as a user would say it.
fn stray(blocks: &mut Vec<Block>, content: Vec<Block>, cache: Option<String>) {
    let (texts, media): (Vec<Block>, Vec<Block>) =
        content.into_iter().partition(|block| matches!(block, Block::Text { .. }));
    let texts: Vec<String> = texts
        .into_iter()
        .filter_map(|block| if let Block::Text { text, .. } = block { Some(text) } else { None })
        .collect();
    let text = format!("<tool_result>\n{}\n</tool_result>", texts.join("\n"));
    blocks.push(Block::Text { text, cache });
    blocks.extend(media);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::ToolKind;

    fn call(id: &str) -> Block {
        Block::ToolUse {
            id: id.into(),
            name: "f".into(),
            kind: ToolKind::Function,
            input: "{}".into(),
            cache: None,
        }
    }

    fn result(id: &str) -> Block {
        Block::ToolResult { id: id.into(), content: vec![Block::text("1")], is_error: false, cache: None }
    }

    /// Turns as words: `call:ID`, `result:ID`, `error:ID`, or a text.
    fn said(request: &Request) -> Vec<Vec<String>> {
        let word = |block: &Block| match block {
            Block::ToolUse { id, .. } => format!("call:{id}"),
            Block::ToolResult { id, is_error: true, .. } => format!("error:{id}"),
            Block::ToolResult { id, .. } => format!("result:{id}"),
            Block::Text { text, .. } => text.replace('\n', ""),
            other => format!("{other:?}"),
        };
        request.messages.iter().map(|turn| turn.blocks.iter().map(word).collect()).collect()
    }

    #[test]
    fn ids_that_repeat_are_told_apart() {
        use Role::{Assistant, User};
        let turns = [
            (Assistant, vec![call("a"), call("a")]),
            (User, vec![result("a"), result("a"), result("a")]),
            (Assistant, vec![call("b"), call("a"), call("a_2")]),
            (User, vec![result("a"), result("a_2"), result("b")]),
        ];
        let messages = turns.into_iter().map(|(role, blocks)| Message { role, blocks }).collect();
        let mut request = Request { messages, ..Request::default() };
        let mut within = request.clone();
        within.distinguish(false);
        let want = [
            vec!["call:a", "call:a_2"],
            vec!["result:a", "result:a_2", "result:a"],
            vec!["call:b", "call:a", "call:a_2"],
            vec!["result:a", "result:a_2", "result:b"],
        ];
        assert_eq!(said(&within), want);
        request.distinguish(true);
        let want = [
            vec!["call:a", "call:a_2"],
            vec!["result:a", "result:a_2", "result:a"],
            vec!["call:b", "call:a_3", "call:a_2_2"],
            vec!["result:a_3", "result:a_2_2", "result:b"],
        ];
        assert_eq!(said(&request), want);
        let told = request.clone();
        request.messages.truncate(1);
        request.distinguish(true);
        assert_eq!(request.messages, told.messages[..1], "what is told apart stays");
    }

    #[test]
    fn each_call_has_one_result_and_each_result_a_call() {
        use Role::{Assistant, User};
        let stray = "<tool_result>1</tool_result>";
        for (turns, want, lost) in [
            (
                vec![(Assistant, vec![call("a"), call("b")]), (User, vec![result("b"), result("a")])],
                vec![vec!["call:a", "call:b"], vec!["result:b", "result:a"]],
                0,
            ),
            (
                vec![(Assistant, vec![call("a"), call("b")]), (User, vec![result("a"), Block::text("so")])],
                vec![vec!["call:a", "call:b"], vec!["error:b", "result:a", "so"]],
                1,
            ),
            (vec![(Assistant, vec![call("a")])], vec![vec!["call:a"], vec!["error:a"]], 1),
            (vec![(User, vec![result("x"), Block::text("so")])], vec![vec![stray, "so"]], 1),
            (
                vec![(Assistant, vec![call("a")]), (User, vec![result("a"), result("a")])],
                vec![vec!["call:a"], vec!["result:a", stray]],
                1,
            ),
            // A result answers the turn before it, and no other.
            (
                vec![
                    (Assistant, vec![call("a")]),
                    (User, vec![Block::text("wait")]),
                    (Assistant, vec![Block::text("well")]),
                    (User, vec![result("a")]),
                ],
                vec![vec!["call:a"], vec!["error:a", "wait"], vec!["well"], vec![stray]],
                2,
            ),
        ] {
            let messages = turns.into_iter().map(|(role, blocks)| Message { role, blocks }).collect();
            let mut request = Request { messages, ..Request::default() };
            let mut losses = Losses::default();
            request.pair(&mut losses);
            assert_eq!(said(&request), want);
            assert_eq!(losses.count(), lost, "{want:?}");
            let paired = request.clone();
            request.pair(&mut losses);
            assert_eq!((request, losses.count()), (paired, lost), "what is paired stays");
        }
    }
}
