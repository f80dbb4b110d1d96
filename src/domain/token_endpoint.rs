//! Requests to a token endpoint and its answers (RFC 6749 sections 3.2, 4.1.3 and 5, `OpenID`
//! Connect Core sections 3.1.3 and 9).

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use serde::Deserialize;

use super::{
    authorization_code::CodeKey, claims::Audience, config::App, jws, refusal::Refusal, url,
};

/// The parts of a token request by which it is judged.
#[derive(Clone, Copy, Debug)]
pub struct TokenRequest<'a> {
    /// The address that was asked.
    pub url: &'a str,
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// Whether there is a `DPoP` header (RFC 9449).
    pub has_dpop: bool,
    /// The form.
    pub body: &'a [u8],
}

/// What a token request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A login: it redeems this code.
    Code(CodeKey),
    /// Fresh tokens.
    Refresh,
    /// Something else. An ID token that comes of it would be a login that nobody could bind.
    Other,
}

/// Why a token request is not relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRelayed {
    /// It is no form, or none that can be read.
    Malformed(Refusal),
    /// A parameter stands there more than once (RFC 6749 section 3.2).
    ParameterRepeated,
    /// It names no client, another client, or several.
    OtherClient,
    /// The client authenticates in a way that is unknown here.
    Authentication,
    /// The client's assertion is for the relay (Core section 9: its `aud` should be the token endpoint),
    /// and the OP would refuse it.
    AssertionForRelay,
    /// A proof of possession names the endpoint that it is for, which is the relay.
    ProofForRelay,
    /// A code without its grant type, or that without a code.
    GrantMalformed,
    /// The OP's answer to a code has no ID token in it.
    IdTokenMissing,
    /// The ID token is wrong.
    IdToken(Refusal),
    /// It has no `sid`, and the app's logins need one.
    SidMissing,
    /// No callback request with this code waits at the gate, or there is no code.
    NoCallback,
}

impl NotRelayed {
    /// The stable code, for the log and for the app.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed(refusal) | Self::IdToken(refusal) => refusal.code(),
            Self::ParameterRepeated => "parameter_repeated",
            Self::OtherClient => "client_mismatch",
            Self::Authentication => "client_authentication_unknown",
            Self::AssertionForRelay => "assertion_for_relay",
            Self::ProofForRelay => "proof_for_relay",
            Self::GrantMalformed => "grant_malformed",
            Self::IdTokenMissing => "id_token_missing",
            Self::SidMissing => "login_without_sid",
            Self::NoCallback => "code_without_callback",
        }
    }

    /// The error of RFC 6749 section 5.2.
    #[must_use]
    pub const fn error(self) -> &'static str {
        match self {
            Self::Malformed(_) | Self::ParameterRepeated | Self::GrantMalformed => {
                "invalid_request"
            }
            Self::OtherClient | Self::Authentication | Self::AssertionForRelay => "invalid_client",
            Self::ProofForRelay => "invalid_dpop_proof",
            Self::IdTokenMissing | Self::IdToken(_) | Self::SidMissing | Self::NoCallback => {
                "invalid_grant"
            }
        }
    }
}

impl TokenRequest<'_> {
    /// What the request asks for, if it is one of `app`'s client that the OP can take from us.
    ///
    /// # Errors
    /// [`NotRelayed`].
    pub fn read(&self, app: &App) -> Result<Grant, NotRelayed> {
        if self.has_dpop {
            return Err(NotRelayed::ProofForRelay);
        }
        let field = |name: &str| {
            // What is empty counts as left out (RFC 6749 section 3.2).
            let mut values = form_urlencoded::parse(self.body)
                .filter(|(field, value)| field == name && !value.is_empty());
            let value = values.next().map(|(_, value)| value);
            match values.next() {
                None => Ok(value),
                Some(_) => Err(NotRelayed::ParameterRepeated),
            }
        };
        let (client_id, assertion) = (field("client_id")?, field("client_assertion")?);
        let (grant_type, code) = (field("grant_type")?, field("code")?);
        let basic = match self.authorization {
            None => None,
            Some(credentials) => Some(basic_user(credentials).ok_or(NotRelayed::Authentication)?),
        };
        let assertion = match assertion {
            None => None,
            Some(jwt) => {
                Some(jws::unverified_claims::<Assertion>(&jwt).ok_or(NotRelayed::Authentication)?)
            }
        };
        // In the header it is form-encoded (RFC 6749 section 2.3.1), which many clients leave out.
        let is_basic = |user: &String| {
            *user == app.client_id || url::percent_decode(&user.replace('+', " ")) == app.client_id
        };
        let proofs = [
            client_id.map(|id| id == app.client_id),
            basic.as_ref().map(is_basic),
            assertion.as_ref().map(|jwt| jwt.is_of(&app.client_id)),
        ];
        let mut proofs = proofs.into_iter().flatten().peekable();
        if proofs.peek().is_none() || !proofs.all(|is_ours| is_ours) {
            return Err(NotRelayed::OtherClient);
        }
        if assertion.is_some_and(|jwt| jwt.is_only_for(self.url)) {
            return Err(NotRelayed::AssertionForRelay);
        }
        match (grant_type.as_deref(), code) {
            (Some("authorization_code"), Some(code)) => Ok(Grant::Code(CodeKey::of(app, &code))),
            // A server that does not look at the type would take the code.
            (Some("authorization_code"), _) | (_, Some(_)) => Err(NotRelayed::GrantMalformed),
            (Some("refresh_token"), None) => Ok(Grant::Refresh),
            _ => Ok(Grant::Other),
        }
    }
}

fn basic_user(credentials: &str) -> Option<String> {
    let (scheme, credentials) = credentials.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = credentials.trim().trim_end_matches('=');
    let decoded = BASE64_STANDARD_NO_PAD.decode(credentials).ok()?;
    // The secret may be in any encoding.
    let end = decoded.iter().position(|byte| *byte == b':')?;
    Some(String::from_utf8_lossy(decoded.get(..end)?).into_owned())
}

/// A client's assertion (RFC 7523 section 3), as far as it says who it is of and for whom. The OP
/// verifies it.
#[derive(Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    aud: Audience,
}

impl Assertion {
    fn is_of(&self, client_id: &str) -> bool {
        self.iss == client_id && self.sub == client_id
    }

    fn is_only_for(&self, url: &str) -> bool {
        match &self.aud {
            Audience::One(audience) => audience == url,
            Audience::Many(audiences) => audiences.iter().all(|audience| audience == url),
        }
    }
}

/// The ID token in a token endpoint's answer.
///
/// # Errors
/// [`NotRelayed::IdTokenMissing`].
pub fn id_token(body: &[u8]) -> Result<String, NotRelayed> {
    #[derive(Deserialize)]
    struct Tokens {
        id_token: String,
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // A derived struct would take an array for an object.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let tokens: Option<Tokens> = is_object
        .then(|| serde_json::from_slice(body).ok())
        .flatten();
    tokens
        .map(|tokens| tokens.id_token)
        .ok_or(NotRelayed::IdTokenMissing)
}

#[cfg(test)]
mod tests;
