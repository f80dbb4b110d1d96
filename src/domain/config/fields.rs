//! Reading one structured variable field by field, so that all its problems are found.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Problem;

/// The fields of one variable that nobody has read yet.
pub(super) struct Fields<'a> {
    variable: &'a str,
    rest: Option<Map<String, Value>>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(variable: &'a str, json: &str, problems: &'a mut Vec<Problem>) -> Self {
        let rest = match serde_json::from_str(json) {
            Ok(Value::Object(fields)) => Some(fields),
            _ => None,
        };
        let mut fields = Self {
            variable,
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
        let list = match self.take(field) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.problem(field, "must be a list of texts");
                return Vec::new();
            }
        };
        let texts: Vec<_> = list
            .iter()
            .filter_map(|entry| entry.as_str().map(str::to_owned))
            .collect();
        if texts.len() != list.len() {
            self.problem(field, "must be a list of texts");
        }
        texts
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

    /// A whole number of seconds, if the field is there.
    pub(super) fn seconds(&mut self, field: &str) -> Option<Duration> {
        let seconds = self.take(field)?.as_u64();
        if seconds.is_none() {
            self.problem(field, "must be a whole number of seconds");
        }
        seconds.map(Duration::from_secs)
    }

    /// Every field that nobody asked for is a problem: a misspelt option must not be silence.
    pub(super) fn refuse_unknown(&mut self) {
        for field in self.rest.take().unwrap_or_default().keys() {
            self.problem(field, "is not a field that exists here");
        }
    }
}
