//! How an answer goes wrong, as data.
//!
//! A model's name can carry it: directives follow the name, each after two
//! hyphens, with a value after one more, such as `gpt-4o--status-503` or
//! `claude--delay-200--split-3`. A [`Step`] of a script carries the same as JSON.

use serde_json::Value;

/// What is wrong with the usage that an answer reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageFault {
    /// Nothing.
    #[default]
    None,
    /// No usage at all.
    Missing,
    /// Counts below zero.
    Negative,
    /// A thousand billion tokens.
    Absurd,
}

/// Everything that can be told of one answer; the default is a proper answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Answers with this status; 4xx and 5xx get a body in the format's shape.
    pub status: Option<u16>,
    /// Further headers of the answer.
    pub headers: Vec<(String, String)>,
    /// The whole body instead of the proper one.
    pub body: Option<String>,
    /// The content type instead of the proper one.
    pub content_type: Option<String>,
    /// Pause before the first byte, in ms.
    pub delay_ms: u64,
    /// Pause between the frames of a stream, in ms.
    pub chunk_delay_ms: u64,
    /// Closes the connection after so many frames of a stream.
    pub cut_after_chunks: Option<usize>,
    /// Closes the connection after so many bytes of the body.
    pub cut_after_bytes: Option<usize>,
    /// Goes silent after so many frames of a stream, until the caller leaves.
    pub stall_after_chunks: Option<usize>,
    /// Sends an error event after so many frames of a stream, then closes.
    pub error_after_chunks: Option<usize>,
    /// Never answers.
    pub hang: bool,
    /// Writes the body in pieces of so many bytes, whatever they hold.
    pub split: Option<usize>,
    /// What is wrong with the usage.
    pub usage: UsageFault,
    /// So many input tokens came from the cache.
    pub cached: u64,
    /// Makes the text this many bytes longer.
    pub pad: usize,
    /// Answers a stream request with plain JSON.
    pub plain_json: bool,
    /// Compresses the answer, whoever asked for it.
    pub gzip: bool,
}

const NONSENSE: &str = "%PDF-1.7 {\"choices\": [{]} \u{0}\u{1}";
const HTML: &str = "<html><head><title>502 Bad Gateway</title></head><body>proxy: no answer</body></html>";

impl Behaviour {
    /// Reads the directives in a model's name.
    ///
    /// # Errors
    /// When a directive is unknown or its value is no number.
    pub fn from_model(model: &str) -> Result<Self, String> {
        let mut it = Self::default();
        for directive in model.split("--").skip(1) {
            let (name, value) = match directive.rsplit_once('-') {
                Some((name, value)) if value.bytes().all(|b| b.is_ascii_digit()) => {
                    (name, value.parse::<u64>().ok())
                }
                _ => (directive, None),
            };
            it.direct(name, value)
                .map_err(|what| format!("directive `{directive}` in model `{model}`: {what}"))?;
        }
        Ok(it)
    }

    fn direct(&mut self, name: &str, value: Option<u64>) -> Result<(), &'static str> {
        let number = || value.ok_or("needs a number");
        let count = || number().map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        match name {
            "status" => self.status = Some(u16::try_from(number()?).map_err(|_| "is no status")?),
            "retry-after" => self.headers.push(("retry-after".into(), number()?.to_string())),
            "delay" => self.delay_ms = number()?,
            "chunk-delay" => self.chunk_delay_ms = number()?,
            "cut" => self.cut_after_chunks = Some(count()?),
            "cut-bytes" => self.cut_after_bytes = Some(count()?),
            "stall" => self.stall_after_chunks = Some(count()?),
            "error" => self.error_after_chunks = Some(count()?),
            "split" => self.split = Some(count()?.max(1)),
            "cached" => self.cached = number()?,
            "pad" => self.pad = count()?,
            "hang" => self.hang = true,
            "plain" => self.plain_json = true,
            "gzip" => self.gzip = true,
            "usage-missing" => self.usage = UsageFault::Missing,
            "usage-negative" => self.usage = UsageFault::Negative,
            "usage-absurd" => self.usage = UsageFault::Absurd,
            "nonsense" => self.body = Some(NONSENSE.into()),
            "empty" => self.body = Some(String::new()),
            "html" => {
                self.body = Some(HTML.into());
                self.content_type = Some("text/html".into());
            }
            "wrong-type" => self.content_type = Some("text/plain".into()),
            "error-as-success" => {
                self.status = Some(200);
                self.body = Some(r#"{"error":{"message":"the engine is overloaded","type":"server_error","param":null,"code":null}}"#.into());
            }
            "quota" => {
                self.status = Some(429);
                self.body = Some(r#"{"error":{"message":"You exceeded your current quota.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#.into());
            }
            "context" => {
                self.status = Some(400);
                self.body = Some(r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#.into());
            }
            _ => return Err("is unknown"),
        }
        Ok(())
    }

    fn field(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let number = || value.as_u64().ok_or_else(|| format!("`{name}` must be a number"));
        let count = || number().map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let flag = || value.as_bool().ok_or_else(|| format!("`{name}` must be true or false"));
        let text =
            |v: &Value| v.as_str().map(str::to_owned).ok_or_else(|| format!("`{name}` must be a text"));
        match name {
            "status" => self.status = Some(u16::try_from(number()?).map_err(|e| e.to_string())?),
            "headers" => {
                for (header, content) in value.as_object().ok_or("`headers` must be an object")? {
                    self.headers.push((header.clone(), text(content)?));
                }
            }
            "body" => self.body = Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned)),
            "content_type" => self.content_type = Some(text(value)?),
            "delay_ms" => self.delay_ms = number()?,
            "chunk_delay_ms" => self.chunk_delay_ms = number()?,
            "cut_after_chunks" => self.cut_after_chunks = Some(count()?),
            "cut_after_bytes" => self.cut_after_bytes = Some(count()?),
            "stall_after_chunks" => self.stall_after_chunks = Some(count()?),
            "error_after_chunks" => self.error_after_chunks = Some(count()?),
            "hang" => self.hang = flag()?,
            "split" => self.split = Some(count()?.max(1)),
            "usage" => {
                self.usage = match value.as_str() {
                    Some("right") => UsageFault::None,
                    Some("missing") => UsageFault::Missing,
                    Some("negative") => UsageFault::Negative,
                    Some("absurd") => UsageFault::Absurd,
                    _ => return Err("`usage` must be right, missing, negative or absurd".into()),
                }
            }
            "cached" => self.cached = number()?,
            "pad" => self.pad = count()?,
            "plain_json" => self.plain_json = flag()?,
            // One of the bodies that a model's name can ask for.
            "like" => *self = Self::from_model(&format!("--{}", text(value)?))?,
            _ => return Err(format!("`{name}` is not a field of a step")),
        }
        Ok(())
    }
}

/// A behaviour for the next calls that fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Only calls to this path; none: any.
    pub path: Option<String>,
    /// Only calls for this model; none: any.
    pub model: Option<String>,
    /// So many calls; 0: for ever.
    pub times: u64,
    /// What they get.
    pub behaviour: Behaviour,
}

impl Step {
    /// A step for the next call, whatever it is.
    #[must_use]
    pub fn once(behaviour: Behaviour) -> Self {
        Self { path: None, model: None, times: 1, behaviour }
    }

    /// Reads a step from JSON; every field is optional, `like` comes first when given.
    ///
    /// # Errors
    /// When it is no object, or a field is unknown or of the wrong type.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let fields = value.as_object().ok_or("a step must be an object")?;
        let mut step = Self::once(Behaviour::default());
        if let Some(like) = fields.get("like") {
            step.behaviour.field("like", like)?;
        }
        for (name, value) in fields {
            match name.as_str() {
                "like" => {}
                "path" => step.path = value.as_str().map(str::to_owned),
                "model" => step.model = value.as_str().map(str::to_owned),
                "times" => step.times = value.as_u64().ok_or("`times` must be a number")?,
                _ => step.behaviour.field(name, value)?,
            }
        }
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_carries_directives() {
        let it = Behaviour::from_model("gpt-4o-mini--status-429--retry-after-2--split-3").unwrap();
        assert_eq!((it.status, it.split), (Some(429), Some(3)));
        assert_eq!(it.headers, [("retry-after".to_owned(), "2".to_owned())]);
        assert_eq!(Behaviour::from_model("gpt-4o-mini").unwrap(), Behaviour::default());
        assert!(Behaviour::from_model("m--usage-absurd").unwrap().usage == UsageFault::Absurd);
    }

    #[test]
    fn a_typing_error_is_refused() {
        assert!(Behaviour::from_model("m--satus-500").unwrap_err().contains("satus-500"));
        assert!(Behaviour::from_model("m--status").is_err());
        assert!(Step::from_json(&serde_json::json!({"dealy_ms": 5})).is_err());
    }

    #[test]
    fn a_step_reads_its_fields() {
        let step =
            Step::from_json(&serde_json::json!({"model": "m", "times": 0, "like": "html", "status": 502}))
                .unwrap();
        assert_eq!((step.times, step.behaviour.status), (0, Some(502)));
        assert_eq!(step.behaviour.content_type.as_deref(), Some("text/html"));
    }
}
