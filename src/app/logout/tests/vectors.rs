//! Tokens and what becomes of them, as `tests/vectors` has them.

use super::*;

/// The values of a vector with its placeholders filled in.
fn fill(value: &Value) -> Value {
    match value {
        Value::Object(members) => match members.get("$now") {
            Some(offset) => json!(NOW.seconds() + offset.as_i64().unwrap()),
            None => members.iter().map(|(k, v)| (k.clone(), fill(v))).collect(),
        },
        Value::Array(list) => list.iter().map(fill).collect(),
        Value::String(text) => json!(text.replace("{issuer}", testkit::ISSUER)),
        other => other.clone(),
    }
}

fn token(signer: &Signer, base: &Value, row: &Value) -> String {
    if let Some(token) = row["token"].as_str() {
        return token.to_owned();
    }
    let header = row.get("header").unwrap_or(&base["header"]).to_string();
    let claims = if let Some(text) = row["text"].as_str() {
        let text = text.replace("{issuer}", testkit::ISSUER);
        let (iat, exp) = (NOW.seconds(), NOW.seconds() + 120);
        text.replace("{iat}", &iat.to_string())
            .replace("{exp}", &exp.to_string())
    } else {
        let mut claims = fill(&base["claims"]);
        for (name, value) in row["claims"].as_object().into_iter().flatten() {
            claims[name] = fill(value);
        }
        for name in row["without"].as_array().into_iter().flatten() {
            claims
                .as_object_mut()
                .unwrap()
                .remove(name.as_str().unwrap());
        }
        let mut claims = claims.to_string();
        if let Some(append) = row["append"].as_str() {
            claims.insert_str(claims.len() - 1, append);
        }
        claims
    };
    let token = signer.sign(&header, &claims);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    match row["signature"].as_str() {
        None => token,
        Some("empty") => format!("{signed}."),
        Some("padded") => format!("{token}="),
        Some("flipped") => {
            let first = if signature.starts_with('A') { 'B' } else { 'A' };
            format!("{signed}.{first}{}", &signature[1..])
        }
        Some(other) => panic!("{other}"),
    }
}

fn run_vectors(vectors: &Value) {
    for row in vectors["rows"].as_array().unwrap() {
        let name = row["name"].as_str().unwrap();
        let profile = row["profile"].as_str().unwrap_or("default");
        let scene = Scene::with(
            &vectors["profiles"][profile],
            &json!({ "session_sid": "optional" }),
        );
        let mut registered = BTreeMap::new();
        for (number, (key, fixture)) in (1..).zip(vectors["sessions"].as_object().unwrap()) {
            let text = |field: &str| fixture[field].as_str().unwrap();
            let login = fixture["login"].as_i64().unwrap();
            let sid = fixture["sid"].as_str();
            let session = scene.session(number, text("client"), text("sub"), sid, login);
            assert_eq!(scene.try_register(&session), Ok(Ok(())), "{key}");
            registered.insert(key.as_str(), session);
        }
        let before = scene.kv.keys();

        let (answer, unfinished) = scene.receive(&token(&scene.signer, &vectors["base"], row));
        assert!(unfinished.is_none(), "{name}");
        assert_eq!(
            scene.world.codes(),
            [row["code"].as_str().unwrap()],
            "{name}"
        );

        let ends = row.get("ends").map(|ends| ends.as_array().unwrap());
        if ends.is_some() {
            assert_eq!(answer, Answer::Done, "{name}");
        } else {
            assert!(matches!(answer, Answer::Refused(_)), "{name}");
            assert_eq!(
                scene.kv.keys(),
                before,
                "{name}: a refused token changes nothing"
            );
        }
        let ended: Vec<&str> = ends
            .into_iter()
            .flatten()
            .map(|end| end.as_str().unwrap())
            .collect();
        let belongs_to = |key: &str, session: &Session| key.ends_with(&session.id.to_string());
        let expected: Vec<_> = before
            .into_iter()
            .filter(|key| !ended.iter().any(|end| belongs_to(key, &registered[end])))
            .collect();
        assert_eq!(scene.entries(), expected, "{name}");
        for (key, session) in &registered {
            // Past the time in which a missing entry may be KV's lag.
            scene.world.clock.set(NOW.plus(limits::KV_ENTRY_LAG));
            assert_eq!(
                scene.is_alive(session),
                !ended.contains(key),
                "{name}: {key}"
            );
        }
    }
}

#[test]
fn every_vector_has_its_code_and_its_effect() {
    let rules = include_str!("../../../../tests/vectors/logout_token.json");
    run_vectors(&serde_json::from_str(rules).unwrap());
}

#[test]
fn every_token_as_real_ops_send_it_is_judged_rightly() {
    let providers = include_str!("../../../../tests/vectors/providers.json");
    run_vectors(&serde_json::from_str(providers).unwrap());
}
