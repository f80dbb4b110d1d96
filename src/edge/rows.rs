//! The table of a list: in memory, and in `SQLite`, so that it outlives the object. What happens to it is the
//! domain's.

use std::cell::{Cell, RefCell};

use base16ct::upper as hex;
use worker::{SqlStorageValue as Value, Storage};

use super::objects::{self, Sql};
use crate::{
    app::ports::Unavailable,
    domain::{
        digest::Digest,
        ledger::{self, Change, Ending, List, Received, Row, Rows, Scope, Table},
        logout_token::Logout,
        session::{SessionId, SidKey, SubjectKey},
        time::Timestamp,
    },
};

/// `other` is the letter of the list's name and the hash; `scope` the same, or empty for all. Times
/// are in milliseconds. `ended`, and for some the logout, say what there is still to do.
const SCHEMA: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS session (id BLOB PRIMARY KEY, other BLOB NOT NULL, login INTEGER NOT NULL,
        expires INTEGER NOT NULL, seq INTEGER NOT NULL, ended INTEGER, logout INTEGER,
        valid_until INTEGER) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS logout (scope BLOB NOT NULL, time INTEGER NOT NULL, seq INTEGER NOT NULL,
        until INTEGER NOT NULL, PRIMARY KEY (scope, time)) WITHOUT ROWID",
];

/// What [`read_row`] reads.
const SESSIONS: &str = "SELECT hex(id) || ',' || hex(other) || ',' || login || ',' || expires || ',' || seq
    || ',' || ifnull(ended, '') || ',' || ifnull(logout, '') || ',' || ifnull(valid_until, '') FROM session";

/// What [`read_received`] reads.
const LOGOUTS: &str = "SELECT hex(scope) || ',' || time || ',' || seq || ',' || until FROM logout";

/// The table of one list: read when it is first asked for, and then kept in memory beside what is stored.
/// Nobody else writes to it. After a write that fails it is read again; after one that fails later, when all that
/// a transition has written is to be made lasting, the runtime makes the object anew.
pub(super) struct SqlRows {
    storage: Storage,
    sql: Sql,
    /// A list that nobody has written to has no tables in its storage: asking makes none.
    is_stored: Cell<bool>,
    table: RefCell<Option<Table>>,
}

const FAILED: Unavailable = Unavailable("ledger_storage_failed");
/// Of another version, or spoilt.
const UNREADABLE: Unavailable = Unavailable("ledger_rows_unreadable");

type Result<T> = std::result::Result<T, Unavailable>;

impl SqlRows {
    pub(super) fn of(storage: Storage) -> Self {
        Self {
            sql: Sql::of(&storage),
            storage,
            is_stored: Cell::default(),
            table: RefCell::default(),
        }
    }

    /// The alarm went off, so that none may be set.
    pub(super) fn alarm_went_off(&self) {
        if let Some(table) = self.table.borrow_mut().as_mut() {
            table.alarm = None;
        }
    }

    /// What is in the storage may be another than what is known: it is read again when it is asked for.
    pub(super) fn forget(&self) {
        self.table.replace(None);
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut Table) -> T) -> Result<T> {
        let mut table = self.table.borrow_mut();
        if table.is_none() {
            *table = Some(self.stored()?);
        }
        table.as_mut().map(use_it).ok_or(FAILED)
    }

    /// What is in the storage.
    fn stored(&self) -> Result<Table> {
        let tables = "SELECT name FROM sqlite_master WHERE name = 'logout'";
        self.is_stored
            .set(!self.run(tables, Vec::new())?.is_empty());
        let mut table = Table::default();
        if !self.is_stored.get() {
            return Ok(table);
        }
        for line in self.sql.lines(SESSIONS).map_err(|_| FAILED)?.lines() {
            table.apply(&Change::Insert(read_row(line).ok_or(UNREADABLE)?));
        }
        for line in self.sql.lines(LOGOUTS).map_err(|_| FAILED)?.lines() {
            table.apply(&Change::Receive(read_received(line).ok_or(UNREADABLE)?));
        }
        Ok(table)
    }

    fn run(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>> {
        self.sql.run(sql, values).map_err(|_| FAILED)
    }

    /// Brings something in.
    fn insert(&self, sql: &str, values: Vec<Value>) -> Result<()> {
        if !self.is_stored.get() {
            for table in SCHEMA {
                self.run(table, Vec::new())?;
            }
            self.is_stored.set(true);
        }
        self.run(sql, values).map(drop)
    }

    /// Changes what is there, if anything is: who deleted an entry may come when the list is gone, and nobody
    /// would look at a new one.
    fn update(&self, sql: &str, values: Vec<Value>) -> Result<()> {
        if self.is_stored.get() {
            self.run(sql, values)?;
        }
        Ok(())
    }

    fn store(&self, change: &Change) -> Result<()> {
        match change {
            Change::Insert(row) => self.insert(
                "INSERT INTO session (id, other, login, expires, seq) VALUES (?, ?, ?, ?, ?)",
                vec![
                    blob(row.id.as_bytes()),
                    list(&row.other),
                    time(row.login),
                    time(row.expires),
                    Value::Integer(row.seq),
                ],
            ),
            // The condition is that of `Doomed::has`.
            Change::End(doomed, ending) => self.update(
                "UPDATE session SET ended = ?, logout = ?, valid_until = ?
                WHERE ended IS NULL AND (length(?) = 0 OR other = ?) AND login <= ? AND seq < ?",
                [
                    values_of(ending).as_slice(),
                    &[
                        scope(&doomed.scope),
                        scope(&doomed.scope),
                        time(doomed.login_up_to),
                        Value::Integer(doomed.before),
                    ],
                ]
                .concat(),
            ),
            Change::EndOne(id, ending) => self.update(
                "UPDATE session SET ended = ?, logout = ?, valid_until = ? WHERE ended IS NULL AND id = ?",
                [values_of(ending).as_slice(), &[blob(id.as_bytes())]].concat(),
            ),
            Change::Remove(id) => self.update(
                "DELETE FROM session WHERE id = ?",
                vec![blob(id.as_bytes())],
            ),
            Change::Receive(received) => self.insert(
                "INSERT INTO logout (scope, time, seq, until) VALUES (?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
                vec![
                    scope(&received.scope),
                    time(received.logout),
                    Value::Integer(received.seq),
                    time(received.until),
                ],
            ),
            Change::Expire(now) => {
                // `Row::is_over`.
                self.update(
                    "DELETE FROM session WHERE expires <= ? AND (logout IS NULL OR ended <= ?)",
                    vec![time(*now), time(ledger::any_session_is_over(*now))],
                )?;
                self.update("DELETE FROM logout WHERE until <= ?", vec![time(*now)])
            }
            Change::Wake(at) => objects::set_alarm(&self.storage, *at).map_err(|_| FAILED),
        }
    }
}

impl Rows for SqlRows {
    type Error = Unavailable;

    fn read<T>(&self, look: impl FnOnce(&Table) -> T) -> Result<T> {
        self.with(|table| look(table))
    }

    fn write(&self, change: &Change) -> Result<()> {
        let written = self.with(|table| {
            self.store(change)?;
            table.apply(change);
            Ok(())
        })?;
        if written.is_err() {
            self.forget();
        }
        written
    }
}

fn values_of(ending: &Ending) -> [Value; 3] {
    let logout = ending.user_logout;
    [
        time(ending.since),
        logout.map_or(Value::Null, |logout| time(logout.at)),
        logout.map_or(Value::Null, |logout| time(logout.valid_until)),
    ]
}

fn blob(bytes: &[u8]) -> Value {
    Value::Blob(bytes.to_vec())
}

const fn time(at: Timestamp) -> Value {
    Value::Integer(at.millis())
}

fn list(list: &List) -> Value {
    let (letter, hash) = match list {
        List::User(SubjectKey(hash)) => (b'u', hash),
        List::Sid(SidKey(hash)) => (b's', hash),
    };
    Value::Blob([&[letter], hash.as_bytes().as_slice()].concat())
}

fn scope(scope: &Scope) -> Value {
    match scope {
        Scope::All => Value::Blob(Vec::new()),
        Scope::Sid(sid) => list(&List::Sid(*sid)),
    }
}

fn read_bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    (hex::decode(text, &mut bytes).ok()?.len() == N).then_some(bytes)
}

fn read_time(field: &str) -> Option<Timestamp> {
    field.parse().ok().map(Timestamp::from_millis)
}

fn read_list(text: &str) -> Option<List> {
    let [letter, hash @ ..] = read_bytes::<33>(text)?;
    let hash = Digest::from_bytes(hash);
    match letter {
        b'u' => Some(List::User(SubjectKey(hash))),
        b's' => Some(List::Sid(SidKey(hash))),
        _ => None,
    }
}

fn read_received(line: &str) -> Option<Received> {
    let mut fields = line.split(',');
    let mut next = || fields.next();
    Some(Received {
        scope: match next()? {
            "" => Scope::All,
            text => match read_list(text)? {
                List::Sid(sid) => Scope::Sid(sid),
                List::User(_) => return None,
            },
        },
        logout: read_time(next()?)?,
        seq: next()?.parse().ok()?,
        until: read_time(next()?)?,
    })
}

fn read_row(line: &str) -> Option<Row> {
    let mut fields = line.split(',');
    let mut next = || fields.next();
    Some(Row {
        id: SessionId::from_random(read_bytes(next()?)?),
        other: read_list(next()?)?,
        login: read_time(next()?)?,
        expires: read_time(next()?)?,
        seq: next()?.parse().ok()?,
        ended: match [next()?, next()?, next()?] {
            ["", "", ""] => None,
            [since, logout, valid_until] => Some(Ending {
                since: read_time(since)?,
                user_logout: match [logout, valid_until] {
                    ["", ""] => None,
                    _ => Some(Logout {
                        at: read_time(logout)?,
                        valid_until: read_time(valid_until)?,
                    }),
                },
            }),
        },
    })
}
