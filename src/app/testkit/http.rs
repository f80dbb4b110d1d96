//! What comes from OP and browser, and the app that answers.

use std::cell::RefCell;

use crate::{
    app::{
        front::{Forward, Origin, Reply},
        logout::Delivery,
        ports::{Body, Unavailable},
    },
    domain::{limits, refusal::Refusal, sender::Sender},
};

pub struct Bytes(pub Vec<u8>);

impl Body for Bytes {
    async fn read(self, limit: usize) -> Result<Vec<u8>, Refusal> {
        if self.0.len() > limit {
            return Err(Refusal::BodyTooLarge);
        }
        Ok(self.0)
    }
}

/// A request that delivers `token`.
pub fn delivery(token: &str) -> Delivery<'static, Bytes> {
    Delivery {
        method: "POST",
        content_type: Some("application/x-www-form-urlencoded"),
        content_encoding: None,
        sender: Sender::default(),
        body: Bytes(format!("logout_token={token}&ignored=1").into_bytes()),
    }
}

/// An app that gives one prepared answer, and remembers what it was sent.
pub struct FakeOrigin {
    pub reply: Result<FakeReply, Unavailable>,
    pub seen: RefCell<Vec<Forward>>,
    pub is_navigation: bool,
    pub referer: Option<&'static str>,
    /// The form in the request.
    pub form: Option<&'static str>,
    /// What happens elsewhere between the request and the answer.
    pub meanwhile: Option<Box<dyn Fn()>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeReply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
}

impl FakeReply {
    pub fn ok(headers: &[(&'static str, &str)]) -> Self {
        Self {
            status: 200,
            headers: headers
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
        }
    }
}

/// As `front::telling`, of all configurations that these tests know.
const TELLING: [&str; 6] = [
    "authorization",
    "clear-site-data",
    "edge-logout-id-token",
    "edge-logout-key",
    "edge-logout-session",
    "set-cookie",
];

impl Reply for FakeReply {
    fn status(&self) -> u16 {
        self.status
    }

    fn is_telling(&self) -> bool {
        self.headers.iter().any(|(name, _)| TELLING.contains(name))
    }

    fn header(&self, name: &str) -> Option<String> {
        let values: Vec<_> = self
            .headers
            .iter()
            .filter(|(header, _)| *header == name)
            .map(|(_, value)| value.as_str())
            .collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    fn set_cookies(&self) -> Vec<String> {
        self.headers
            .iter()
            .filter(|(header, _)| *header == "set-cookie")
            .map(|(_, value)| value.clone())
            .collect()
    }
}

impl FakeOrigin {
    /// That of a page that a person looks at.
    pub fn new(reply: Result<FakeReply, Unavailable>) -> Self {
        Self {
            reply,
            seen: RefCell::default(),
            is_navigation: true,
            referer: None,
            form: None,
            meanwhile: None,
        }
    }
}

impl Origin for FakeOrigin {
    type Reply = FakeReply;

    fn is_navigation(&self) -> bool {
        self.is_navigation
    }

    fn referer(&self) -> Option<String> {
        self.referer.map(str::to_owned)
    }

    async fn form(&self) -> Result<Option<Vec<u8>>, Refusal> {
        let form = self.form.map(|form| form.as_bytes().to_vec());
        match form {
            Some(form) if form.len() > limits::RELAYED_FORM_BYTES => Err(Refusal::BodyTooLarge),
            form => Ok(form),
        }
    }

    async fn send(&self, forward: &Forward) -> Result<FakeReply, Unavailable> {
        self.seen.borrow_mut().push(forward.clone());
        if let Some(meanwhile) = &self.meanwhile {
            meanwhile();
        }
        self.reply.clone()
    }
}
