//! The smallest embedding: a gateway in memory with its built-in mock provider, called from a tokio service without any
//! HTTP server.
//!
//! ```text
//! cargo run -p sluicegate-examples --example embed_minimal
//! ```

use sluicegate::{AnswerBody, Format, Gateway, Inbound, Options, Secret};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options {
        demo: true,
        master_key: Some(Secret::new("sk-example-master-key-0001")),
        ..Options::default()
    };
    let gateway = Gateway::open(options).await?;
    let worker = gateway.worker();

    let body = r#"{"model": "mock", "messages": [{"role": "user", "content": "hello"}]}"#;
    let inbound = Inbound::new(Format::OpenaiChat, "sk-example-master-key-0001", body);
    let answer = worker.call(inbound).await.map_err(|rejection| rejection.error)?;
    if let AnswerBody::Full(bytes) = answer.body {
        println!("{}", String::from_utf8_lossy(&bytes));
    }
    println!("attempts: {}, channel: {:?}", answer.facts.attempts, answer.facts.channel);
    gateway.shutdown().await;
    Ok(())
}
