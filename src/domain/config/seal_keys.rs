//! Reading the keys that seal cookies.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{Problem, SealKey, SealKeys, fields::Fields};
use crate::domain::url;

/// `SEAL_KEYS`: a JSON list of `{"id": ..., "key": base64 of 32 bytes, "seal_from": moment}`.
pub(super) fn read_seal_keys(json: &str, problems: &mut Vec<Problem>) -> Option<SealKeys> {
    let problem = |reason: &str| Problem {
        field: "SEAL_KEYS".into(),
        reason: reason.into(),
    };
    let entries: Vec<serde_json::Value> = serde_json::from_str(json).unwrap_or_default();
    let earlier_problems = problems.len();
    let mut keys: Vec<SealKey> = Vec::new();
    for (position, entry) in entries.iter().enumerate() {
        let variable = format!("SEAL_KEYS[{position}]");
        let mut fields = Fields::of(&variable, &entry.to_string(), problems);
        let key = read_seal_key(&mut fields);
        fields.refuse_unknown();
        if key
            .as_ref()
            .is_some_and(|key| keys.iter().any(|other| other.id == key.id))
        {
            fields.problem("id", "is another key's");
        }
        keys.extend(key);
    }
    if problems.len() > earlier_problems {
        return None;
    }
    let Some(always) = keys.iter().position(|key| key.seal_from.is_none()) else {
        problems.push(problem(
            "must be a JSON list with a key that has no seal_from",
        ));
        return None;
    };
    let first = keys.remove(always);
    if keys.iter().any(|key| key.seal_from.is_none()) {
        problems.push(problem(
            "may hold one key without seal_from, the first to seal",
        ));
    }
    Some(SealKeys {
        first,
        others: keys,
    })
}

fn read_seal_key(fields: &mut Fields<'_>) -> Option<SealKey> {
    let id = fields.required_text("id");
    let key = fields.required_text("key");
    let seal_from = fields.moment("seal_from");
    let id = id.filter(|id| {
        let right = url::is_token(id) && id.len() <= 16;
        if !right {
            fields.problem("id", "must be 1 to 16 letters, digits, - or _");
        }
        right
    });
    let mut bytes = [0; 32];
    let read = BASE64_STANDARD.decode_slice(key?, &mut bytes);
    if read != Ok(bytes.len()) {
        fields.problem("key", "must be the base64 of 32 random bytes");
        return None;
    }
    Some(SealKey {
        id: id?,
        key: bytes,
        seal_from,
    })
}
