//! Reading one structured variable field by field, so that all its problems are found.

use std::time::Duration;

use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::Problem;
use crate::domain::{route, time::Timestamp};

/// The fields of one variable that nobody has read yet.
pub(super) struct Fields<'a> {
    variable: String,
    rest: Option<Map<String, Value>>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(variable: &str, json: &str, problems: &'a mut Vec<Problem>) -> Self {
        let rest = match serde_json::from_str(json) {
            Ok(Value::Object(fields)) => Some(fields),
            _ => None,
        };
        let mut fields = Self {
            variable: variable.to_owned(),
            rest,
            problems,
        };
        if fields.rest.is_none() {
            fields.problem("", "must be a table of fields");
        }
        fields
    }

    /// Notes a problem of `field`, or of the whole variable if that is empty.
    pub(super) fn problem(&mut self, field: &str, reason: impl Into<String>) {
        let dot = if field.is_empty() { "" } else { "." };
        self.problems.push(Problem {
            field: format!("{}{dot}{field}", self.variable),
            reason: reason.into(),
        });
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        self.rest.as_mut()?.remove(field)
    }

    /// A non-empty text, if the field is there.
    pub(super) fn text(&mut self, field: &str) -> Option<String> {
        match self.take(field)? {
            Value::String(text) if !text.is_empty() => Some(text),
            _ => {
                self.problem(field, "must be a text that is not empty");
                None
            }
        }
    }

    /// A non-empty text that must be there.
    pub(super) fn required_text(&mut self, field: &str) -> Option<String> {
        if self
            .rest
            .as_ref()
            .is_some_and(|rest| !rest.contains_key(field))
        {
            self.problem(field, "is missing");
            return None;
        }
        self.text(field)
    }

    /// A list of texts; empty if the field is not there.
    pub(super) fn texts(&mut self, field: &str) -> Vec<String> {
        let Some(list) = self.take(field) else {
            return Vec::new();
        };
        serde_json::from_value(list).unwrap_or_else(|_| {
            self.problem(field, "must be a list of texts");
            Vec::new()
        })
    }

    /// A list of at least one text.
    pub(super) fn required_texts(&mut self, field: &str) -> Vec<String> {
        let is_empty = |list: &Value| list.as_array().is_some_and(Vec::is_empty);
        let rest = self.rest.as_ref();
        if rest.is_some_and(|rest| rest.get(field).is_none_or(is_empty)) {
            self.take(field);
            self.problem(field, "must name at least one");
        }
        self.texts(field)
    }

    /// `true` or `false`; `false` if the field is not there.
    pub(super) fn flag(&mut self, field: &str) -> bool {
        match self.take(field) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(_) => {
                self.problem(field, "must be true or false");
                false
            }
        }
    }

    /// One of several words, if the field is there.
    pub(super) fn choice<T: Copy>(&mut self, field: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(field)?;
        let chosen = choices.iter().find(|(word, _)| *word == text);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            self.problem(field, format!("must be one of {}", words.join(", ")));
        }
        chosen.map(|(_, choice)| *choice)
    }

    /// A whole number, if the field is there.
    pub(super) fn number(&mut self, field: &str) -> Option<usize> {
        let number = serde_json::from_value(self.take(field)?).ok();
        if number.is_none() {
            self.problem(field, "must be a whole number");
        }
        number
    }

    /// A whole number of seconds, if the field is there.
    pub(super) fn seconds(&mut self, field: &str) -> Option<Duration> {
        let seconds = serde_json::from_value(self.take(field)?).ok();
        if seconds.is_none() {
            self.problem(field, "must be a whole number of seconds");
        }
        seconds.map(Duration::from_secs)
    }

    /// A moment (RFC 3339), if the field is there.
    pub(super) fn moment(&mut self, field: &str) -> Option<Timestamp> {
        let text = self.text(field)?;
        let moment = OffsetDateTime::parse(&text, &Rfc3339).ok();
        if moment.is_none() {
            self.problem(field, "must be a time such as 2026-12-01T00:00:00Z");
        }
        moment.map(|moment| Timestamp::from_seconds(moment.unix_timestamp()))
    }

    /// A list of paths; empty if the field is not there.
    pub(super) fn paths(&mut self, field: &str) -> Vec<String> {
        let paths = self.texts(field);
        for (position, path) in paths.iter().enumerate() {
            if !route::is_plain_path(path) {
                self.problem(
                    &format!("{field}[{position}]"),
                    "must be an absolute path of plain segments",
                );
            }
        }
        paths
    }

    /// The fields of a table, if the field is there.
    pub(super) fn table(&mut self, field: &str) -> Option<Fields<'_>> {
        let json = self.take(field)?.to_string();
        let variable = format!("{}.{field}", self.variable);
        Some(Fields::of(&variable, &json, self.problems))
    }

    /// Every field that nobody asked for is a problem: a misspelt option must not be silence.
    pub(super) fn refuse_unknown(&mut self) {
        for field in self.rest.take().unwrap_or_default().keys() {
            self.problem(field, "is not a field that exists here");
        }
    }
}
