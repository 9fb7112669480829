//! The policy that comes with the protos: how often a call may be made, and how long that may take.
//!
//! Other languages' gRPC libraries apply it themselves; Rust's knows none.

use std::{error::Error, fs, path::Path, time::Duration};

use serde_json::Value;
use tokio::time;
use tonic::{Response, Status};

use crate::failure::name;

pub struct Policy(Value);

impl Policy {
    pub fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Self(serde_json::from_str(&fs::read_to_string(path)?)?))
    }

    /// Makes a call, again where that is safe and may help.
    pub async fn repeat<T>(
        &self,
        service: &str,
        method: &str,
        call: impl AsyncFn() -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let config = self.config(service, method);
        let policy = &config["retryPolicy"];
        let attempts = async {
            let mut pause = seconds(&policy["initialBackoff"]);
            for _ in 1..policy["maxAttempts"].as_u64().unwrap_or(1) {
                match call().await {
                    Err(error) if repeats(policy, &error) => time::sleep(pause).await,
                    last => return last,
                }
                pause = (pause * policy["backoffMultiplier"].as_u64().unwrap_or(1) as u32)
                    .min(seconds(&policy["maxBackoff"]));
            }
            call().await
        };
        let late = |_| Err(Status::deadline_exceeded("the service took too long"));
        let answer = time::timeout(seconds(&config["timeout"]), attempts).await;
        answer.unwrap_or_else(late).map(Response::into_inner)
    }

    fn config(&self, service: &str, method: &str) -> &Value {
        let named = |name: &Value| name["service"] == service && name["method"] == method;
        self.0["methodConfig"]
            .as_array()
            .and_then(|configs| {
                configs.iter().find(|config| config["name"].as_array().is_some_and(|names| names.iter().any(named)))
            })
            .unwrap_or(&Value::Null)
    }
}

fn repeats(policy: &Value, error: &Status) -> bool {
    let code = Value::from(name(error.code()));
    policy["retryableStatusCodes"].as_array().is_some_and(|codes| codes.contains(&code))
}

fn seconds(text: &Value) -> Duration {
    let number = text.as_str().and_then(|text| text.trim_end_matches('s').parse().ok());
    number.map_or(Duration::MAX, Duration::from_secs_f64)
}
