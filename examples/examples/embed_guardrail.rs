//! A guardrail in Rust: it is asked about every call's texts before they are sent, and may refuse them or put others in their place.
//!
//! ```text
//! cargo run -p sluicegate-examples --example embed_guardrail
//! ```

use std::sync::Arc;

use sluicegate::guardrail::{Guardrail, Look, OwnGuardrail, Refusal, Ruling, async_trait};
use sluicegate::{AnswerBody, Format, Gateway, Inbound, Options, Secret};

const KEY: &str = "sk-example-master-key-0001";

/// Knows the project names that mustn't leave the house.
struct ProjectNames(&'static [&'static str]);

#[async_trait]
impl Guardrail for ProjectNames {
    async fn check(&self, look: &Look<'_>) -> Ruling {
        let named = |text: &&&str| self.0.iter().any(|name| text.to_lowercase().contains(name));
        let refused = look.texts.iter().find(named).map(|_| Refusal {
            guardrail: "project-names".into(),
            message: Some("this prompt names a project that stays in the house".to_owned()),
        });
        Ruling { refused, ..Ruling::default() }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let guardrail = Arc::new(ProjectNames(&["nightjar"]));
    let options = Options {
        demo: true,
        master_key: Some(Secret::new(KEY)),
        guardrails: vec![OwnGuardrail {
            name: "project-names".into(),
            input: true,
            output: false,
            guardrail,
        }],
        ..Options::default()
    };
    let gateway = Gateway::open(options).await?;
    let worker = gateway.worker();
    for says in ["hello", "what is Nightjar?"] {
        let body = format!(r#"{{"model": "mock", "messages": [{{"role": "user", "content": "{says}"}}]}}"#);
        match worker.call(Inbound::new(Format::OpenaiChat, KEY, body)).await {
            Ok(answer) => {
                if let AnswerBody::Full(bytes) = answer.body {
                    println!("{says}: {}", String::from_utf8_lossy(&bytes));
                }
            }
            Err(rejection) => println!("{says}: refused: {}", rejection.error),
        }
    }
    gateway.shutdown().await;
    Ok(())
}
