//! Desks: what is kept in one place for an app or an issuer, beside the sessions.
//!
//! The desk of an app has its journal, and up to when an operator has ended its sessions; that of an
//! issuer has the breaker and the logouts that it holds. Here are the transitions, over a [`Shelf`].

pub mod breaker;
pub mod epoch;
pub mod journal;

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use self::{epoch::Epochs, journal::Untold};
use super::{
    config::{App, Issuer},
    digest::Digest,
    time::Timestamp,
};

/// Which desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Desk {
    /// That of an app.
    App(Digest),
    /// That of an issuer.
    Issuer(Digest),
}

impl Desk {
    /// The desk of an app.
    #[must_use]
    pub const fn of(app: &App) -> Self {
        Self::App(app.id)
    }

    /// The desk of an issuer.
    #[must_use]
    pub fn of_issuer(issuer: &Issuer) -> Self {
        Self::Issuer(Digest::of("issuer", &[&issuer.issuer]))
    }
}

impl fmt::Display for Desk {
    /// Its name: `a:` or `i:`, and the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(hash) => write!(f, "a:{hash}"),
            Self::Issuer(hash) => write!(f, "i:{hash}"),
        }
    }
}

/// What an isolate keeps in mind of desks.
#[derive(Debug, Default)]
pub struct Notes {
    /// What they have said.
    pub epochs: Epochs,
    /// What they are still to be told.
    pub untold: Untold,
}

/// Values by name, in the order of their names. Nothing else happens to a desk while a transition
/// runs.
pub trait Shelf {
    /// The storage failed, or holds what cannot be read: the transition must be repeated.
    type Error;

    /// A value.
    ///
    /// # Errors
    /// `Self::Error`, as of all methods.
    fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Self::Error>;

    /// Puts a value in place of the one of its name.
    ///
    /// # Errors
    /// `Self::Error`.
    fn put<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Self::Error>;

    /// Takes a value away, if it is there.
    ///
    /// # Errors
    /// `Self::Error`.
    fn remove(&self, name: &str) -> Result<(), Self::Error>;

    /// The values whose names begin so, the first `limit` with their names.
    ///
    /// # Errors
    /// `Self::Error`.
    fn first<T: DeserializeOwned>(
        &self,
        beginning: &str,
        limit: usize,
    ) -> Result<Vec<(String, T)>, Self::Error>;

    /// How many names begin so.
    ///
    /// # Errors
    /// `Self::Error`.
    fn count(&self, beginning: &str) -> Result<usize, Self::Error>;

    /// Takes away every value whose name begins so; gives how many.
    ///
    /// # Errors
    /// `Self::Error`.
    fn clear(&self, beginning: &str) -> Result<usize, Self::Error>;

    /// Sets the alarm: the desk is looked at then.
    ///
    /// # Errors
    /// `Self::Error`.
    fn wake(&self, at: Timestamp) -> Result<(), Self::Error>;
}
