//! Reading who may use the operator's pages.

use super::{Access, Issuer, KeySource, Operator, Problem, SidScope, fields::Fields};
use crate::domain::{
    digest::Digest,
    jws::{Algorithm, Types},
    limits,
    url::{HttpUrl, Schemes},
};

/// The secret `OPERATOR_KEY`, and the table `OPERATOR`; none if neither is there.
pub(super) fn read_operator(
    key: Option<&str>,
    table: Option<&str>,
    problems: &mut Vec<Problem>,
) -> Option<Operator> {
    if key.is_some_and(|key| key.len() < limits::OPERATOR_KEY_BYTES) {
        problems.push(Problem {
            field: "OPERATOR_KEY".into(),
            reason: "must be 32 characters or more".into(),
        });
    }
    let access = table.and_then(|json| {
        let mut fields = Fields::of("OPERATOR", json, problems);
        let access = read_access(&mut fields);
        fields.refuse_unknown();
        access
    });
    let key = key.map(digest_of_key);
    (key.is_some() || access.is_some()).then_some(Operator { key, access })
}

impl Operator {
    /// Whether this is the key.
    #[must_use]
    pub fn has_key(&self, key: &str) -> bool {
        let presented = digest_of_key(key);
        self.key.is_some_and(|key| key.is_secretly(&presented))
    }
}

fn digest_of_key(key: &str) -> Digest {
    Digest::of("operator-key", &[key])
}

fn read_access(fields: &mut Fields<'_>) -> Option<Access> {
    let schemes = if fields.flag("allow_insecure_http") {
        Schemes::HttpToo
    } else {
        Schemes::Https
    };
    let team = fields.required_text("access_team");
    let audience = fields.required_text("access_audience");
    let team = team?;
    let is_right = HttpUrl::parse(&team, schemes).is_ok_and(|url| url.is_bare_origin());
    if !is_right || team.ends_with('/') {
        let reason = "must be https://<team>.cloudflareaccess.com, without a path";
        fields.problem("access_team", reason);
        return None;
    }
    let keys = HttpUrl::parse(&format!("{team}/cdn-cgi/access/certs"), schemes).ok()?;
    Some(Access {
        team: Issuer {
            token_endpoint: None,
            name: String::new(),
            issuer: team,
            keys: KeySource::KeySet(keys),
            schemes,
            logout_alg: Algorithm::Rs256,
            id_token_alg: Algorithm::Rs256,
            logout_types: Types::IdToken,
            allow_missing_exp: false,
            sid_scope: SidScope::Sid,
            trusted_audiences: Vec::new(),
            clock_skew: limits::CLOCK_SKEW,
            dry_run: false,
            breaker: None,
        },
        audience: audience?,
    })
}
