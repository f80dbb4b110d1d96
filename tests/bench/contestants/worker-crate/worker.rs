//! The least Worker in Rust as one writes it with the `worker` crate: it passes pages on and refuses every token,
//! with edge-logout's own words, and neither looks at anything nor waits only so long as it may. It is no floor of
//! Rust: edge-logout does without the crate's requests, answers and promises, and has another allocator.
#![cfg(target_arch = "wasm32")]

use worker::{Context, Env, Fetch, Headers, Method, Request, Response, Result, console_log, event};

const REFUSED: &str =
    r#"{"error":"invalid_request","error_description":"The logout token was not accepted."}"#;

#[event(fetch)]
async fn fetch(mut request: Request, _: Env, _: Context) -> Result<Response> {
    if request.method() == Method::Get {
        return Fetch::Request(request).send().await;
    }
    request.bytes().await?;
    console_log!(r#"{{"code":"token_malformed","class":"refused","app":"SHOP"}}"#);
    let headers = Headers::new();
    headers.set("Content-Type", "application/json")?;
    headers.set("Cache-Control", "no-store")?;
    let answer = Response::from_bytes(REFUSED.into())?;
    Ok(answer.with_status(400).with_headers(headers))
}
