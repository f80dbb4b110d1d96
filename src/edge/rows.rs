//! The rows of a list in `SQLite`. SQL is all there is here: the transitions are the domain's.

use std::cell::Cell;

use worker::{SqlStorageValue as Value, Storage};

use super::objects::{self, Sql};
use crate::{
    app::ports::Unavailable,
    domain::{
        digest::Digest,
        ledger::{self, Counts, Doomed, Ending, List, Row, Rows, Scope},
        logout_token::Logout,
        session::{Mark, SessionId, SidKey, SubjectKey},
        time::Timestamp,
    },
};

/// `other` is the letter of the list's name and the hash; `scope` the same, or empty for all. Times
/// are in milliseconds. `ended`, and for some the logout, say what there is still to do.
const SCHEMA: [&str; 2] = [
    "CREATE TABLE session (id BLOB PRIMARY KEY, other BLOB NOT NULL, login INTEGER NOT NULL,
        expires INTEGER NOT NULL, seq INTEGER NOT NULL, ended INTEGER, logout INTEGER,
        valid_until INTEGER) WITHOUT ROWID",
    "CREATE TABLE logout (scope BLOB NOT NULL, time INTEGER NOT NULL, seq INTEGER NOT NULL,
        until INTEGER NOT NULL, PRIMARY KEY (scope, time)) WITHOUT ROWID",
];

/// Whose condition `Scope::has` is; takes the scope twice.
const IN_SCOPE: &str = "(length(?) = 0 OR other = ?)";

/// Whose condition `Doomed::has` is, of those that have not ended; takes what [`of_doomed`] gives.
const IS_DOOMED: &str = "ended IS NULL AND (length(?) = 0 OR other = ?) AND login <= ? AND seq < ?";

/// After all logouts that the list and its rows remember.
const NEXT_SEQ: &str = "1 + max(ifnull((SELECT max(seq) FROM logout), 0),
    ifnull((SELECT max(seq) FROM session), 0))";

/// The rows of one list.
pub(super) struct SqlRows {
    storage: Storage,
    sql: Sql,
    /// A list that nobody has written to has no tables: asking makes none.
    has_tables: Cell<bool>,
    alarm: Cell<Option<Timestamp>>,
}

const FAILED: Unavailable = Unavailable("ledger_storage_failed");

type Result<T> = std::result::Result<T, Unavailable>;

impl SqlRows {
    pub(super) fn of(storage: Storage) -> Self {
        let rows = Self {
            sql: Sql::of(&storage),
            storage,
            has_tables: Cell::new(true),
            alarm: Cell::default(),
        };
        let tables = "SELECT name FROM sqlite_master WHERE name = 'logout'";
        // If even that fails, so will what follows.
        let is_known_empty = rows
            .query(tables, Vec::new())
            .is_ok_and(|all| all.is_empty());
        rows.has_tables.set(!is_known_empty);
        rows
    }

    /// The alarm went off, so that none may be set.
    pub(super) fn alarm_went_off(&self) {
        self.alarm.set(None);
    }

    /// Everything was deleted.
    pub(super) fn are_gone(&self) {
        self.has_tables.set(false);
        self.alarm.set(None);
    }

    fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>> {
        if !self.has_tables.get() {
            return Ok(Vec::new());
        }
        self.sql.run(sql, values).map_err(|_| FAILED)
    }

    fn write(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>> {
        if !self.has_tables.get() {
            for table in SCHEMA {
                self.sql.run(table, Vec::new()).map_err(|_| FAILED)?;
            }
            self.has_tables.set(true);
        }
        self.query(sql, values)
    }

    /// The one number that a query gives; none for NULL or no row.
    fn number(&self, sql: &str, values: Vec<Value>) -> Result<Option<i64>> {
        match self.query(sql, values)?.pop().and_then(|mut row| row.pop()) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(number)),
            Some(_) => Err(FAILED),
        }
    }

    fn count(&self, sql: &str, values: Vec<Value>) -> Result<usize> {
        let count = self.number(sql, values)?.unwrap_or(0);
        usize::try_from(count).map_err(|_| FAILED)
    }

    fn count_doomed(&self, doomed: &Doomed) -> Result<usize> {
        let sql = format!("SELECT count(*) FROM session WHERE {IS_DOOMED}");
        self.count(&sql, of_doomed(doomed))
    }

    fn rows(&self, condition: &str, values: Vec<Value>) -> Result<Vec<Row>> {
        let sql = format!(
            "SELECT id, other, login, expires, seq, ended, logout, valid_until FROM session
            WHERE {condition}"
        );
        let rows = self.query(&sql, values)?;
        rows.iter().map(|row| read(row).ok_or(FAILED)).collect()
    }
}

impl Rows for SqlRows {
    type Error = Unavailable;

    fn find(&self, id: &SessionId) -> Result<Option<Row>> {
        Ok(self.rows("id = ?", vec![blob(id.as_bytes())])?.pop())
    }

    fn insert(&self, row: &Row) -> Result<()> {
        self.write(
            "INSERT INTO session (id, other, login, expires, seq) VALUES (?, ?, ?, ?, ?)",
            vec![
                blob(row.id.as_bytes()),
                list(&row.other),
                time(row.login),
                time(row.expires),
                Value::Integer(row.seq),
            ],
        )
        .map(drop)
    }

    fn end(&self, doomed: &Doomed, ending: &Ending) -> Result<Counts> {
        let sql = format!(
            "SELECT count(*) FILTER (WHERE {IS_DOOMED}), count(*) FROM session
            WHERE ended IS NULL AND {IN_SCOPE}"
        );
        let mut values = of_doomed(doomed);
        values.extend([scope(&doomed.scope), scope(&doomed.scope)]);
        let rows = self.query(&sql, values)?;
        let (ended, live) = match rows.first().map(Vec::as_slice) {
            None => (0, 0),
            Some([Value::Integer(ended), Value::Integer(live)]) => (*ended, *live),
            Some(_) => return Err(FAILED),
        };
        if ended > 0 {
            let sql = format!("{SET_ENDED} WHERE {IS_DOOMED}");
            self.write(&sql, set_ended(ending, of_doomed(doomed)))?;
        }
        let count = |number: i64| usize::try_from(number).map_err(|_| FAILED);
        Ok(Counts {
            ended: count(ended)?,
            later: count(live.saturating_sub(ended))?,
        })
    }

    fn doomed(&self, doomed: &Doomed, limit: usize) -> Result<(usize, Vec<Row>)> {
        let condition = format!("{IS_DOOMED} ORDER BY login DESC, id LIMIT {limit}");
        let rows = self.rows(&condition, of_doomed(doomed))?;
        Ok((self.count_doomed(doomed)?, rows))
    }

    fn end_one(&self, id: &SessionId, ending: &Ending) -> Result<bool> {
        let sql = format!("{SET_ENDED} WHERE id = ? AND ended IS NULL RETURNING 1");
        let ended = self.query(&sql, set_ended(ending, vec![blob(id.as_bytes())]))?;
        Ok(!ended.is_empty())
    }

    fn count_live(&self, of: &Scope) -> Result<usize> {
        let sql = format!("SELECT count(*) FROM session WHERE ended IS NULL AND {IN_SCOPE}");
        self.count(&sql, vec![scope(of), scope(of)])
    }

    fn ended(&self, limit: usize) -> Result<Vec<Row>> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.rows("ended IS NOT NULL LIMIT ?", vec![Value::Integer(limit)])
    }

    fn remove(&self, id: &SessionId) -> Result<()> {
        // Who deleted its entry may come when the list is gone: nobody would look at a new one.
        let values = vec![blob(id.as_bytes())];
        self.query("DELETE FROM session WHERE id = ?", values)
            .map(drop)
    }

    fn place(&self, of: &Scope, logout: Timestamp) -> Result<i64> {
        let sql = format!(
            "SELECT ifnull((SELECT seq FROM logout WHERE scope = ? AND time = ?), {NEXT_SEQ})"
        );
        let place = self.number(&sql, vec![scope(of), time(logout)])?;
        Ok(place.unwrap_or(1))
    }

    fn latest(&self, of: &Scope) -> Result<Option<Mark>> {
        let sql = "SELECT max(time) FROM logout WHERE scope = ?";
        let latest = self.number(sql, vec![scope(of)])?;
        Ok(latest.map(|time| Mark(Timestamp::from_millis(time))))
    }

    fn last_seq(&self) -> Result<i64> {
        let seq = self.number("SELECT max(seq) FROM logout", Vec::new())?;
        Ok(seq.unwrap_or(0))
    }

    fn receive(&self, of: &Scope, logout: Timestamp, until: Timestamp) -> Result<i64> {
        let sql = format!(
            "INSERT INTO logout (scope, time, until, seq) VALUES (?, ?, ?, {NEXT_SEQ})
            ON CONFLICT DO UPDATE SET until = max(until, excluded.until) RETURNING seq"
        );
        let rows = self.write(&sql, vec![scope(of), time(logout), time(until)])?;
        match rows.first().map(Vec::as_slice) {
            Some([Value::Integer(place)]) => Ok(*place),
            _ => Err(FAILED),
        }
    }

    fn expire(&self, now: Timestamp) -> Result<()> {
        if self.has_tables.get() {
            // `Row::is_over`.
            self.write(
                "DELETE FROM session WHERE expires <= ? AND (logout IS NULL OR ended <= ?)",
                vec![time(now), time(ledger::any_session_is_over(now))],
            )?;
            self.write("DELETE FROM logout WHERE until <= ?", vec![time(now)])?;
        }
        Ok(())
    }

    fn first_expiry(&self) -> Result<Option<Timestamp>> {
        let sql = "SELECT min(at) FROM (SELECT min(expires) AS at FROM session
            WHERE logout IS NULL UNION ALL SELECT min(until) FROM logout)";
        let first = self.number(sql, Vec::new())?;
        Ok(first.map(Timestamp::from_millis))
    }

    fn alarm(&self) -> Option<Timestamp> {
        self.alarm.get()
    }

    fn set_alarm(&self, at: Timestamp) -> Result<()> {
        objects::set_alarm(&self.storage, at).map_err(|_| FAILED)?;
        self.alarm.set(Some(at));
        Ok(())
    }
}

const SET_ENDED: &str = "UPDATE session SET ended = ?, logout = ?, valid_until = ?";

/// The values of [`SET_ENDED`], and those of a condition after it.
fn set_ended(ending: &Ending, condition: Vec<Value>) -> Vec<Value> {
    let logout = ending.user_logout;
    let mut values = vec![
        time(ending.since),
        logout.map_or(Value::Null, |logout| time(logout.at)),
        logout.map_or(Value::Null, |logout| time(logout.valid_until)),
    ];
    values.extend(condition);
    values
}

fn of_doomed(doomed: &Doomed) -> Vec<Value> {
    vec![
        scope(&doomed.scope),
        scope(&doomed.scope),
        time(doomed.login_up_to),
        Value::Integer(doomed.before),
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

fn read(row: &[Value]) -> Option<Row> {
    let [
        Value::Blob(id),
        Value::Blob(other),
        Value::Integer(login),
        Value::Integer(expires),
        Value::Integer(seq),
        ended @ ..,
    ] = row
    else {
        return None;
    };
    let at = Timestamp::from_millis;
    let ended = match ended {
        [Value::Null, Value::Null, Value::Null] => None,
        [Value::Integer(since), Value::Null, Value::Null] => Some(Ending {
            since: at(*since),
            user_logout: None,
        }),
        [
            Value::Integer(since),
            Value::Integer(logout),
            Value::Integer(valid_until),
        ] => Some(Ending {
            since: at(*since),
            user_logout: Some(Logout {
                at: at(*logout),
                valid_until: at(*valid_until),
            }),
        }),
        _ => return None,
    };
    let (letter, hash) = other.split_first()?;
    let hash = Digest::from_bytes(hash.try_into().ok()?);
    Some(Row {
        id: SessionId::from_random(id.as_slice().try_into().ok()?),
        other: match letter {
            b'u' => List::User(SubjectKey(hash)),
            b's' => List::Sid(SidKey(hash)),
            _ => return None,
        },
        login: at(*login),
        expires: at(*expires),
        seq: *seq,
        ended,
    })
}
