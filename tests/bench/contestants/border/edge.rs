//! The product's edge, as far as it is needed, and in place of the gate what the gate calls.

#[path = "../../../../src/edge/deadline.rs"]
mod deadline;
#[path = "../../../../src/edge/http.rs"]
mod http;
#[path = "../../../../src/edge/kv.rs"]
mod kv;
#[path = "../../../../src/edge/promises.rs"]
mod promises;
#[path = "../../../../src/edge/texts.rs"]
mod texts;
#[path = "../../../../src/edge/webcrypto.rs"]
mod webcrypto;

use std::{cell::OnceCell, pin::pin, rc::Rc, slice, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::future::{Either, select, try_join};
use js_sys::{JSON, Promise, Reflect};
use wasm_bindgen::{JsCast as _, JsValue, prelude::wasm_bindgen};
use web_sys::{Request, Response};
use worker::Result;

use self::{
    deadline::{Client, Context, Hold},
    http::{Content, HeaderChanges, Incoming, NO_STORE, Names, Ready},
};
use crate::{
    app::ports::{Body as _, Kv as _, Unavailable},
    domain::{
        jwks::{KeySet, PublicKey},
        jws::Algorithm,
        limits,
        refusal::Refusal,
        time::Timestamp,
    },
};

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console)]
    fn log(line: &str);
}

/// The product's, for the app of the bench.
const RESERVED: &str = r"^(?:edge[^a-z0-9\n]logout[^a-z0-9\n].*)$";

const REFUSED: &str =
    r#"{"error":"invalid_request","error_description":"The logout token was not accepted."}"#;

thread_local! {
    /// As many as edge-logout asks for.
    static HEADERS: Names<5> = Names::of([
        "content-type",
        "content-encoding",
        "content-length",
        "cf-connecting-ip",
        "x-list",
    ]);
    static REFUSAL: Ready = Ready::of(400, Some(REFUSED), &[http::JSON, NO_STORE]);
    static DONE: Ready = Ready::of(200, None, &[NO_STORE]);
    static TOKEN: OnceCell<Option<Rc<Token>>> = const { OnceCell::new() };
}

/// A token, and the key that signed it: every logout is of this one.
struct Token {
    signed: String,
    signature: Vec<u8>,
    key: Rc<PublicKey>,
}

impl Token {
    fn of(env: &JsValue) -> Option<Self> {
        let get = |name: &str| Reflect::get(env, &name.into()).ok();
        let token = get("TOKEN")?.as_string()?;
        let (signed, signature) = token.rsplit_once('.')?;
        let key = JSON::stringify(&get("KEY")?).ok()?;
        let keys = KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).ok()?;
        Some(Self {
            signed: signed.to_owned(),
            signature: BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?,
            key: keys.candidates(None, Algorithm::Rs256).pop()?,
        })
    }

    async fn verify(env: &JsValue) -> Result<()> {
        let read = || Self::of(env).map(Rc::new);
        let token = TOKEN.with(|token| token.get_or_init(read).clone());
        let token = token.ok_or("no token")?;
        let Self {
            signed,
            signature,
            key,
        } = &*token;
        let verified = webcrypto::verifies(Algorithm::Rs256, key, signed.as_bytes(), signature);
        verified
            .await?
            .then_some(())
            .ok_or_else(|| "not verified".into())
    }
}

/// What every request and every answer is looked at for.
#[wasm_bindgen]
pub fn prepare() {
    http::listen(
        RESERVED,
        &[
            "set-cookie",
            "clear-site-data",
            "edge-logout-id-token",
            "edge-logout-session",
            "edge-logout-key",
        ],
    );
}

#[wasm_bindgen(js_name = fetch)]
pub fn serve(
    request: Request,
    method: String,
    url: String,
    arrived: f64,
    env: JsValue,
    context: &Context,
    answer: Option<Promise>,
) -> Promise {
    let incoming = Incoming::new(request, method, url, Timestamp::from_seconds(0), answer);
    let is_first = incoming.answer.is_none();
    if is_first && incoming.is_get() && incoming.gate_head().cookies().is_empty() {
        let request = &incoming.request;
        if let Ok(answer) = http::send(request) {
            return http::unless_telling(answer, request, &env, context, arrived);
        }
    }
    let client = Client::new(context);
    let answered = client.answered();
    promises::spawn(async move {
        let answer = if incoming.is_get() {
            page(&incoming, &env, &client).await
        } else {
            receive(&incoming, &env, &client).await
        };
        if let Ok(answer) = answer.or_else(|_| http::plain(500, "Failed.\n")) {
            client.answer(answer);
        }
    });
    answered
}

async fn page(incoming: &Incoming, env: &JsValue, client: &Client) -> Result<Response> {
    let keys = ["session", "mark/sid", "mark/sub"].map(key_of);
    let kv = namespace(env)?;
    let found = within(client, limits::GATE_DEADLINE, kv.get_many(&keys)).await;
    found.map_err(failed)?;
    let mut changes = HeaderChanges::default();
    changes.set("cookie", incoming.gate_head().cookies());
    let answer = http::send(&changes.to_request(&incoming.request, None)?);
    Ok(client.hand_over(answer).await?.unchecked_into())
}

fn failed(Unavailable(code): Unavailable) -> worker::Error {
    code.into()
}

fn namespace(env: &JsValue) -> Result<kv::Namespace> {
    Ok(Reflect::get(env, &"SESSIONS".into())?.unchecked_into())
}

/// As long as a key with a hash and an id.
fn key_of(folder: &str) -> String {
    format!("{folder}/{}/{}", "h".repeat(43), "i".repeat(22))
}

/// What names a list ends its one session, what names none is refused.
async fn receive(incoming: &Incoming, env: &JsValue, client: &Client) -> Result<Response> {
    let _hold = Hold::of(client);
    let values = HEADERS.with(|names| incoming.values(names));
    let [_, _, length, _, list] = values.all();
    let body = Content::of(&incoming.request, length).read(limits::LOGOUT_BODY_BYTES);
    let body = within(client, limits::BODY_DEADLINE, body).await;
    body.map_err(Refusal::code)?;
    if let Some(list) = list {
        Token::verify(env).await?;
        let ending = end(namespace(env)?, list);
        let ended = within(client, limits::BACK_CHANNEL_DEADLINE, ending).await;
        ended.map_err(failed)?;
        log(
            r#"{"code":"logout_done","app":"SHOP","of":"hhhhhhhhhhhh","matched":1,"later":0,"of_other_subject":0,"unreadable":0,"deferred":false}"#,
        );
        return DONE.with(Ready::respond);
    }
    log(r#"{"code":"token_malformed","class":"refused","app":"SHOP"}"#);
    REFUSAL.with(Ready::respond)
}

async fn end(kv: kv::Namespace, list: &str) -> Result<(), Unavailable> {
    const TTL: Duration = Duration::from_mins(736);
    let mark = async {
        let mark = key_of("mark");
        kv.get_many(slice::from_ref(&mark)).await?;
        kv.put(&mark, "1764000000", None, TTL).await
    };
    let metadata = format!(r#"{{"kind":"sid","hash":"{}","due":1}}"#, "h".repeat(43));
    let pending = key_of("pending");
    let record = kv.put(&pending, "", Some(&metadata), TTL);
    try_join(mark, record).await?;
    for _ in kv.list(list, None).await?.keys {
        let [other, entry] = ["by-sub", "session"].map(key_of);
        kv.delete_pairs(vec![[other, entry]]).await?;
    }
    Ok(())
}

/// One timer for what is waited for.
async fn within<T>(client: &Client, span: Duration, work: impl Future<Output = T>) -> T {
    let Either::Left((done, _)) = select(pin!(work), pin!(client.sleep(span))).await else {
        unreachable!("what is behind the bench's Workers answers");
    };
    done
}
