//! OpenID Connect Back-Channel Logout at the edge.
//!
//! One Worker stands in front of web apps (relying parties). It receives the `OpenID` Provider's
//! logout tokens for them, ends the matching sessions in its store, and lets every request to an
//! app pass a gate that knows which sessions have ended. The apps stay as they are.
//!
//! Data flows one way:
//!
//! ```text
//! wasm entry ─► edge ─► app ─► domain
//!               adapters   use cases   decisions
//! ```
//!
//! - [`domain`]: pure. Bytes, configuration and `now` in, decision out. No I/O, no clock, no async.
//! - [`app`]: the use cases, async and generic over ports; tested natively with fakes.
//! - `edge`: the Workers runtime behind those ports. Only here do `worker`, `wasm_bindgen` and
//!   JavaScript occur, and no decision about tokens or sessions does. Nobody imports `edge`.

#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::similar_names,
        clippy::string_slice,
        clippy::too_many_lines,
        clippy::unchecked_time_subtraction
    )
)]

pub mod app;
pub mod domain;
#[cfg(target_arch = "wasm32")]
mod edge;

#[cfg(test)]
mod layers {
    use std::{
        fs,
        path::{Path, PathBuf},
    };

    /// Every line that ships, of every file under `folder`.
    fn lines(folder: &Path) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if ["tests", "tests.rs", "testkit", "model"]
                .iter()
                .any(|test| path.ends_with(test))
            {
                continue;
            }
            if path.is_dir() {
                lines.extend(self::lines(&path));
            } else {
                let text = fs::read_to_string(&path).unwrap();
                let shipped = text.split("#[cfg(test)]").next().unwrap();
                lines.extend(
                    shipped
                        .lines()
                        .map(|line| format!("{}: {line}", path.display())),
                );
            }
        }
        lines
    }

    fn root() -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
    }

    /// Codes of the log and fields of the configuration are words with underscores.
    #[test]
    fn the_readme_names_every_code_and_field() {
        const NOT_FOR_OPERATORS: [&str; 21] = [
            // A claim of Cloudflare Access.
            "common_name",
            // Of the specifications.
            "authorization_code",
            "client_assertion",
            "dpop_signing_alg_values_supported",
            "error_description",
            "grant_type",
            "id_token",
            "invalid_client",
            "invalid_dpop_proof",
            "invalid_grant",
            "invalid_request",
            "logout_token",
            "mtls_endpoint_aliases",
            "self_signed_tls_client_auth",
            "signed_metadata",
            "temporarily_unavailable",
            "tls_client_auth",
            "tls_client_certificate_bound_access_tokens",
            "token_endpoint_auth_methods_supported",
            // Of the code.
            "snake_case",
            "_",
        ];
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        let is_word = |text: &&str| {
            text.contains('_') && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
        };
        let lines = lines(&root().join("src"));
        let texts = lines
            .iter()
            .flat_map(|line| line.split('"').skip(1).step_by(2));
        let words: Vec<_> = texts
            .filter(is_word)
            .filter(|word| !NOT_FOR_OPERATORS.contains(word))
            .collect();
        assert!(words.len() > 100, "{}", words.len());
        let missing = |word: &&&str| !readme.contains(&format!("`{word}`"));
        assert_eq!(
            words.iter().filter(missing).collect::<Vec<_>>(),
            Vec::<&&str>::new()
        );
    }

    fn texts(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
        let is_source = |path: &PathBuf| {
            let extension = path.extension().unwrap_or_default();
            extension == "rs" || extension == "mjs"
        };
        let texts = files.iter().filter(|path| is_source(path));
        texts
            .map(|path| fs::read_to_string(path).unwrap())
            .chain(folders.iter().flat_map(|folder| self::texts(folder)))
            .collect()
    }

    /// A guarantee that no test holds is a wish.
    #[test]
    fn the_readme_names_a_test_for_every_guarantee() {
        let readme = fs::read_to_string(root().join("README.md")).unwrap();
        let section = readme
            .split("\n## ")
            .find(|section| section.starts_with("Guarantees"));
        let bullets: Vec<_> = section.unwrap().split("\n- ").skip(1).collect();
        let tests: Vec<_> = ["src", "tests/e2e"]
            .iter()
            .flat_map(|folder| texts(&root().join(folder)))
            .collect();
        assert!(bullets.len() > 8, "{}", bullets.len());
        for bullet in bullets {
            let bullet = bullet.split("\n\n").next().unwrap();
            let (_, held_by) = bullet.split_once("Held by ").expect(bullet);
            let names: Vec<_> = held_by.split('`').skip(1).step_by(2).collect();
            assert!(!names.is_empty(), "{bullet}");
            for name in names {
                let function = format!("fn {name}(");
                let is_test = |text: &String| {
                    text.contains(&function) || (name.contains(' ') && text.contains(name))
                };
                assert!(tests.iter().any(is_test), "no test is called {name}");
            }
        }
    }

    #[test]
    fn nobody_imports_upward() {
        let src = root().join("src");
        for (folder, above) in [
            ("domain", "crate::app"),
            ("domain", "crate::edge"),
            ("app", "crate::edge"),
        ] {
            let lines = lines(&src.join(folder));
            assert!(lines.len() > 500, "{folder} was read");
            let upward: Vec<_> = lines.iter().filter(|line| line.contains(above)).collect();
            assert_eq!(upward, Vec::<&String>::new());
        }
    }
}
