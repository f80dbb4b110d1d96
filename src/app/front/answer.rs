//! An app's answer on its way out: the login it announces, the cookies it sets.

use super::{
    Changes, Front, Own, OwnKind, Reply,
    announcement::{self, Announced},
    callback::Callback,
};
use crate::{
    app::{
        apart,
        audit::{Event, cookie_stem},
        ports::{Codes, Sessions, World},
    },
    domain::{
        cookie::SetCookie,
        gate::{Exchange, Outgoing},
        jar::Standing,
        pieces,
        seal::{self, Contents, Owner},
        session::Session,
    },
};

/// An answer, and the request that it is to.
pub(super) struct Answer<'a, R> {
    pub(super) exchange: Exchange<'a>,
    /// What the request brought from the OP.
    pub(super) callback: Option<&'a Callback>,
    pub(super) reply: &'a R,
}

/// An answer's `Set-Cookie` lines, as they leave.
#[derive(Default)]
struct Rewritten {
    lines: Vec<String>,
    sealed_any: bool,
}

impl<W: World, S: Sessions, C: Codes> Front<'_, W, S, C> {
    /// Learns from the answer who logged in, and seals what it sets.
    pub(super) async fn take_back<R: Reply>(&self, answer: &Answer<'_, R>) -> Result<Changes, Own> {
        if answer.callback.is_none() && !answer.reply.is_telling() {
            Ok(self.changes(answer, Rewritten::default(), &[], &[]))
        } else {
            apart(self.listen(answer)).await
        }
    }

    async fn listen<R: Reply>(&self, answer: &Answer<'_, R>) -> Result<Changes, Own> {
        let (exchange, reply) = (&answer.exchange, answer.reply);
        let raw_lines = reply.set_cookies();
        let read: Vec<Option<SetCookie>> = raw_lines
            .iter()
            .map(|line| SetCookie::parse(line, exchange.now))
            .collect();
        let lines: Vec<SetCookie> = read.iter().flatten().cloned().collect();
        let named = match self.named(answer, &lines).await {
            Ok(named) => named,
            Err(own) => return Err(self.undelivered(own, exchange, &lines).await),
        };
        let born = exchange.born(named.as_ref());
        let rewritten = match self.rewrite(exchange, &raw_lines, &read, named.as_ref()) {
            Ok(rewritten) => rewritten,
            Err(own) => {
                if let Some(born) = born {
                    self.end_one(born, "session_replaced").await;
                }
                return Err(self.undelivered(own, exchange, &lines).await);
            }
        };
        if let Standing::Live(session) = exchange.standing {
            if born.is_some() {
                self.end_one(session, "session_replaced").await;
            } else if clears_cookies(reply)
                || exchange
                    .jar
                    .is_emptied_by(self.app, session, exchange.path, &lines)
            {
                self.end_one(session, "session_cleared_by_app").await;
            }
        }
        Ok(self.changes(answer, rewritten, &raw_lines, &lines))
    }

    /// The changes of an answer whose lines have become these.
    fn changes<R: Reply>(
        &self,
        answer: &Answer<'_, R>,
        mut rewritten: Rewritten,
        raw_lines: &[String],
        lines: &[SetCookie],
    ) -> Changes {
        let (exchange, reply) = (&answer.exchange, answer.reply);
        let (standing, now) = (exchange.standing, exchange.now);
        let removals = exchange.jar.removals(standing, now, exchange.path, lines);
        rewritten.lines.extend(removals);
        Changes {
            set_cookies: (rewritten.lines != raw_lines).then_some(rewritten.lines),
            drop_headers: announcement::headers_in(self.app, reply),
            cache_control: if standing.is_ended() {
                Some("no-store")
            } else if rewritten.sealed_any && !is_private(reply) {
                Some("private, no-cache")
            } else {
                None
            },
            is_private: standing.is_ended() || rewritten.sealed_any,
        }
    }

    /// The session of the login that the answer tells of, or that the request has led to.
    async fn named<R: Reply>(
        &self,
        answer: &Answer<'_, R>,
        lines: &[SetCookie],
    ) -> Result<Option<Session>, Own> {
        let announced = match answer.callback {
            None => announcement::find(self.app, answer.reply, lines),
            Some(Callback::IdToken(login)) => Some(Ok(Announced::Attested(*login))),
            Some(Callback::Refused) => None,
            Some(Callback::Code(code, id)) => match self.close(code, *id).await? {
                Some(login) => {
                    let (standing, jar) = (answer.exchange.standing, answer.exchange.jar);
                    self.check_user(&login, standing, jar).await?;
                    Some(Ok(Announced::Attested(login)))
                }
                None => None,
            },
        };
        match announced.filter(|_| !self.app.is_anonymous_at(answer.exchange.path)) {
            Some(announced) => apart(self.login(announced, answer, lines)).await,
            None => Ok(None),
        }
    }

    /// The answer's `Set-Cookie` lines, sealed where they must be.
    fn rewrite(
        &self,
        exchange: &Exchange<'_>,
        raw_lines: &[String],
        read: &[Option<SetCookie>],
        named: Option<&Session>,
    ) -> Result<Rewritten, Own> {
        let is_anonymous = self.app.is_anonymous_at(exchange.path);
        let mut rewritten = Rewritten::default();
        for (raw, line) in raw_lines.iter().zip(read) {
            let Some(line) = line else {
                rewritten.lines.push(raw.clone());
                continue;
            };
            if announcement::is_all_of(self.app, line) {
                continue;
            }
            match exchange.judge(line, named) {
                Outgoing::Plain => rewritten.lines.push(raw.clone()),
                Outgoing::Wide => {
                    self.report("wide_cookie_not_sealed", line);
                    rewritten.lines.push(raw.clone());
                }
                // Static files set no session cookies: in a shared answer one would be anybody's.
                Outgoing::Removal | Outgoing::Sealed(_) if is_anonymous => {
                    self.report("cookie_on_anonymous_path_dropped", line);
                }
                Outgoing::Removal => {
                    rewritten.lines.push(line.line(&line.name, ""));
                    let leftovers = exchange.jar.leftovers(line, exchange.path, 1);
                    rewritten.lines.extend(leftovers);
                }
                Outgoing::Sealed(owner) => {
                    rewritten.lines.extend(self.seal(line, owner, exchange)?);
                    rewritten.sealed_any = true;
                }
                Outgoing::Foreign => self.report("foreign_session_cookie_dropped", line),
                Outgoing::TooLarge => self.report("cookie_too_large_dropped", line),
            }
        }
        for line in named.map_or(Vec::new(), |named| self.taken_over(exchange, read, named)) {
            let owner = Owner {
                session: named.copied(),
                since: exchange.now,
                at_login: false,
            };
            rewritten.lines.extend(self.seal(&line, owner, exchange)?);
            rewritten.sealed_any = true;
        }
        Ok(rewritten)
    }

    /// The lines that set the cookies again which an announced session takes over; but for those that the answer
    /// itself sets or removes.
    fn taken_over(
        &self,
        exchange: &Exchange<'_>,
        read: &[Option<SetCookie>],
        named: &Session,
    ) -> Vec<SetCookie> {
        let (jar, standing, now) = (exchange.jar, exchange.standing, exchange.now);
        let is_replaced = |earlier: &SetCookie| {
            read.iter().flatten().any(|line| {
                line.name == earlier.name
                    && line.place(exchange.path) == earlier.place(exchange.path)
            })
        };
        jar.taken_over(self.app, named, standing, now)
            .filter_map(|(name, contents)| {
                let line = format!("{name}={}{}", contents.value, contents.attributes);
                SetCookie::parse(&line, now)
            })
            .filter(|earlier| !is_replaced(earlier))
            .collect()
    }

    /// The lines that set a sealed cookie in place of the app's: one, or its pieces, and removals of
    /// those that are left of a longer value.
    fn seal(
        &self,
        line: &SetCookie,
        owner: Owner,
        exchange: &Exchange<'_>,
    ) -> Result<Vec<String>, Own> {
        if !self.app.session_cookies.contain(&line.name) {
            // So that the operator can complete the list.
            self.report("http_only_cookie_sealed", line);
        } else if exchange.is_wide(line) {
            self.report("wide_session_cookie_sealed", line);
        }
        let contents = Contents {
            authority: self.config.authority,
            owner,
            attributes: line.attributes_at(exchange.path),
            value: line.value.clone(),
        };
        let nonce = self.world.random()?;
        let keys = &self.config.seal_keys;
        let cookies = seal::seal(keys, self.app, &line.name, &nonce, &contents, exchange.now)
            .and_then(|sealed| pieces::cut(&line.name, sealed))
            .ok_or(Own::new(OwnKind::BadGateway, "cookie_not_sealable"))?;
        let leftovers = exchange.jar.leftovers(line, exchange.path, cookies.len());
        let sealed = cookies.iter().map(|(name, value)| line.line(name, value));
        Ok(sealed.chain(leftovers).collect())
    }

    /// Says something about a cookie, once.
    fn report(&self, code: &'static str, line: &SetCookie) {
        let fact = format!("{code}/{}/{}", self.app.name, cookie_stem(&line.name));
        if self.world.is_news(fact) {
            let event = Event::new(code, Some(self.app));
            self.world.record(&event.cookie(&line.name));
        }
    }
}

/// What the browser is to forget (Clear Site Data section 3.1).
pub(super) const CLEARED: &str = "clear-site-data";

/// Whether the answer has the browser forget all cookies.
fn clears_cookies(reply: &impl Reply) -> bool {
    reply
        .header(CLEARED)
        .is_some_and(|types| types.contains("\"cookies\"") || types.contains("\"*\""))
}

fn is_private(reply: &impl Reply) -> bool {
    reply.header("cache-control").is_some_and(|directives| {
        directives.split(',').any(|directive| {
            let directive = directive.trim();
            directive.eq_ignore_ascii_case("private") || directive.eq_ignore_ascii_case("no-store")
        })
    })
}
