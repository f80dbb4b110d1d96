//! Why a back-channel request, a token or an announcement is refused: the sender's fault.
//!
//! An outage of ours or of the OP is a different type (`app::ports::Unavailable`); neither ever
//! turns into the other.

use std::fmt;

/// A refused request or token. The log shows [`Refusal::code`]; the sender sees fixed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Not a POST (Back-Channel Logout 1.0 section 2.5); the only refusal answered with 405.
    Method,
    /// The media type is not `application/x-www-form-urlencoded`.
    ContentType,
    /// The request body is encoded (`Content-Encoding`).
    ContentEncoding,
    /// The body is larger than [`super::limits::LOGOUT_BODY_BYTES`].
    BodyTooLarge,
    /// The body ended early or could not be read.
    BodyUnreadable,
    /// The form holds a `%` that begins no percent-encoding.
    FormMalformed,
    /// The body did not come in time.
    BodyTooSlow,
    /// No `logout_token` in the form.
    TokenMissing,
    /// More than one `logout_token` in the form.
    TokenRepeated,
    /// The token is larger than [`super::limits::TOKEN_BYTES`].
    TokenTooLarge,
    /// Not three base64url segments with JSON in the first (RFC 7515 section 3.1).
    TokenMalformed,
    /// Five segments: an encrypted token, which nobody here can read.
    Encrypted,
    /// `alg` is not the one configured for the issuer (RFC 8725 section 3.1).
    Algorithm,
    /// `crit`, `b64`, `zip` or `cty` in the header: nothing critical is understood here.
    CriticalHeader,
    /// `kid` is too long.
    KeyId,
    /// `typ` says that this is another kind of token (RFC 8725 section 3.11).
    Type,
    /// The claims are not a JSON object of the right types, or a claim occurs twice.
    ClaimsMalformed,
    /// `iss` is missing or another issuer (Core section 3.1.3.7 (2)).
    Issuer,
    /// `aud` is missing, not ours, or names others whom we do not trust (Core 3.1.3.7 (3)).
    Audience,
    /// `azp` is another client.
    AuthorizedParty,
    /// Without `exp`, where that is allowed, `iat` is too long ago.
    IssuedTooLongAgo,
    /// `exp` is missing.
    ExpirationMissing,
    /// The token has expired.
    Expired,
    /// `nbf` lies in the future.
    NotYetValid,
    /// `iat` is missing.
    IssuedAtMissing,
    /// `iat` lies in the future.
    IssuedInFuture,
    /// `jti` is missing or empty.
    TokenId,
    /// `events` is missing, lacks the logout event, or the event is not an object (2.4).
    Event,
    /// A logout token with a `nonce` (2.4), whatever its value.
    Nonce,
    /// Neither `sub` nor `sid` (2.4), or an ID token without `sub`.
    SubjectMissing,
    /// `sub` or `sid` present but not a non-empty string.
    SubjectMalformed,
    /// An ID token was expected and a logout token came (RFC 8725 section 3.12).
    NotAnIdToken,
    /// `edge-logout-session` is no dictionary of `sub` and `sid` (RFC 9651 section 3.2).
    SessionHeader,
    /// `edge-logout-key` is not the app's.
    SessionHeaderKey,
    /// An authorization response in which servers may find different codes or tokens.
    ResponseAmbiguous,
    /// No key of the issuer has this `kid`, by a key set fetched after the token arrived.
    KeyUnknown,
    /// The signature does not verify.
    Signature,
}

impl Refusal {
    /// The stable code of this refusal, for logs and tests.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Method => "method_not_post",
            Self::ContentType => "content_type_not_form",
            Self::ContentEncoding => "content_encoding_present",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyUnreadable => "body_unreadable",
            Self::FormMalformed => "form_malformed",
            Self::BodyTooSlow => "body_too_slow",
            Self::TokenMissing => "token_missing",
            Self::TokenRepeated => "token_repeated",
            Self::TokenTooLarge => "token_too_large",
            Self::TokenMalformed => "token_malformed",
            Self::Encrypted => "token_encrypted",
            Self::Algorithm => "alg_not_configured",
            Self::CriticalHeader => "critical_header",
            Self::KeyId => "kid_too_long",
            Self::Type => "typ_of_other_token",
            Self::ClaimsMalformed => "claims_malformed",
            Self::Issuer => "iss_mismatch",
            Self::Audience => "aud_mismatch",
            Self::AuthorizedParty => "azp_mismatch",
            Self::ExpirationMissing => "exp_missing",
            Self::IssuedTooLongAgo => "iat_too_long_ago",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedAtMissing => "iat_missing",
            Self::IssuedInFuture => "iat_in_future",
            Self::TokenId => "jti_missing",
            Self::Event => "event_missing",
            Self::Nonce => "nonce_present",
            Self::SubjectMissing => "sub_and_sid_missing",
            Self::SubjectMalformed => "sub_or_sid_malformed",
            Self::NotAnIdToken => "not_an_id_token",
            Self::SessionHeader => "session_header_malformed",
            Self::SessionHeaderKey => "session_header_key_wrong",
            Self::ResponseAmbiguous => "authorization_response_ambiguous",
            Self::KeyUnknown => "key_unknown",
            Self::Signature => "signature_invalid",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Refusal {}
