//! The OP's metadata (`OpenID` Connect Discovery section 4).

use serde_json::{Map, Value};

use super::{
    jwks::{self, BadDocument},
    url::{HttpUrl, Schemes},
};

/// A metadata document that is the issuer's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    /// Reads the document of `issuer`.
    ///
    /// # Errors
    /// [`BadDocument::Malformed`], or [`BadDocument::OtherIssuer`] (section 4.3).
    pub fn parse(body: &[u8], issuer: &str) -> Result<Self, BadDocument> {
        let metadata = Self(jwks::object(body)?);
        match metadata.text("issuer") {
            None => Err(BadDocument::Malformed),
            Some(its_issuer) if its_issuer != issuer => Err(BadDocument::OtherIssuer),
            Some(_) => Ok(metadata),
        }
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.0.get(member).and_then(Value::as_str)
    }

    /// Its `jwks_uri`.
    ///
    /// # Errors
    /// [`BadDocument::Malformed`] without one, [`BadDocument::KeySetUrl`] if we may not fetch it.
    pub fn key_set_url(&self, schemes: Schemes) -> Result<HttpUrl, BadDocument> {
        let url = self.text("jwks_uri").ok_or(BadDocument::Malformed)?;
        HttpUrl::parse(url, schemes).map_err(|_| BadDocument::KeySetUrl)
    }

    /// Its `token_endpoint`.
    ///
    /// # Errors
    /// [`BadDocument::Malformed`] without one, [`BadDocument::TokenEndpoint`] if we may not ask it.
    pub fn token_endpoint(&self, schemes: Schemes) -> Result<HttpUrl, BadDocument> {
        let url = self.text("token_endpoint").ok_or(BadDocument::Malformed)?;
        HttpUrl::parse(url, schemes).map_err(|_| BadDocument::TokenEndpoint)
    }

    /// The same with another token endpoint, as JSON. What would lead a client past that endpoint,
    /// or to what cannot be relayed, is left out: other addresses for mutual TLS (RFC 8705), proofs
    /// that name the endpoint they are for (`DPoP`), and the OP's own signature over all of it.
    #[must_use]
    pub fn relayed(&self, token_endpoint: &str) -> String {
        const NOT_RELAYED: [&str; 4] = [
            "mtls_endpoint_aliases",
            "tls_client_certificate_bound_access_tokens",
            "dpop_signing_alg_values_supported",
            "signed_metadata",
        ];
        let mut metadata = self.0.clone();
        for member in NOT_RELAYED {
            metadata.remove(member);
        }
        let methods = metadata.get_mut("token_endpoint_auth_methods_supported");
        if let Some(Value::Array(methods)) = methods {
            methods.retain(|method| {
                method != "tls_client_auth" && method != "self_signed_tls_client_auth"
            });
        }
        metadata.insert("token_endpoint".to_owned(), token_endpoint.into());
        Value::Object(metadata).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://op.example";

    fn parse(document: &Value) -> Result<Metadata, BadDocument> {
        Metadata::parse(document.to_string().as_bytes(), ISSUER)
    }

    #[test]
    fn only_the_issuers_own_counts() {
        for (document, problem) in [
            (
                json!({ "issuer": "https://op.example/" }),
                BadDocument::OtherIssuer,
            ),
            (json!({ "issuer": 1 }), BadDocument::Malformed),
            (json!({}), BadDocument::Malformed),
            (json!([ISSUER]), BadDocument::Malformed),
        ] {
            assert_eq!(parse(&document), Err(problem), "{document}");
        }
    }

    #[test]
    fn its_addresses_must_be_allowed() {
        for (jwks_uri, expected) in [
            (json!("https://op.example/jwks"), Ok(())),
            (json!("http://op.example/jwks"), Err(BadDocument::KeySetUrl)),
            (json!("file:///etc"), Err(BadDocument::KeySetUrl)),
            (json!(null), Err(BadDocument::Malformed)),
        ] {
            let document =
                json!({ "issuer": ISSUER, "jwks_uri": jwks_uri, "token_endpoint": jwks_uri });
            let metadata = parse(&document).unwrap();
            let key_set_url = metadata.key_set_url(Schemes::Https).map(drop);
            assert_eq!(key_set_url, expected, "{document}");
            let token_endpoint = metadata.token_endpoint(Schemes::Https).map(drop);
            assert_eq!(token_endpoint.is_ok(), expected.is_ok(), "{document}");
        }
    }

    #[test]
    fn a_relayed_one_leads_to_the_relay_only() {
        let document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://op.example/auth",
            "token_endpoint": "https://op.example/token",
            "mtls_endpoint_aliases": { "token_endpoint": "https://mtls.op.example/token" },
            "signed_metadata": "e.e.e",
            "dpop_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["tls_client_auth", "client_secret_basic"],
        });
        let relayed = parse(&document)
            .unwrap()
            .relayed("https://app.example/token");
        assert_eq!(
            serde_json::from_str::<Value>(&relayed).unwrap(),
            json!({
                "issuer": ISSUER,
                "authorization_endpoint": "https://op.example/auth",
                "token_endpoint": "https://app.example/token",
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            })
        );
    }
}
