//! Requests that are for no app, on a host that has some: health checks, certificate challenges,
//! the rest of a site. They pass without anything of a session, either way.

use super::{
    Changes, CookieHeader, Forward, Origin, Own, OwnKind, Reply, Request, Served, announcement,
};
use crate::{
    app::{
        audit::{Class, Event},
        ports::{Unavailable, World},
    },
    domain::{
        config::Config,
        cookie::SetCookie,
        jar::{Jar, Standing},
        url,
    },
};

/// The way past the apps, for one request.
pub struct Unmatched<'a, W> {
    /// The world.
    pub world: &'a W,
    /// The configuration.
    pub config: &'a Config,
    /// The request.
    pub request: Request<'a>,
}

impl<W: World> Unmatched<'_, W> {
    /// Serves the request.
    pub async fn serve<O: Origin>(&self, origin: &O) -> Served<O::Reply> {
        match self.pass(origin).await {
            Ok((reply, changes)) => Served::Reply(reply, changes),
            Err(own) => {
                self.world
                    .record(&Event::new(own.code, None).class(Class::Refused));
                Served::Own(own)
            }
        }
    }

    async fn pass<O: Origin>(&self, origin: &O) -> Result<(O::Reply, Changes), Own> {
        if self.request.method == "TRACE" {
            let kind = OwnKind::MethodNotAllowed;
            return Err(Own::new(kind, "method_never_forwarded"));
        }
        let header = self.request.cookies;
        let jar = Jar::without_sessions(header, |name| self.is_protected(name));
        let forward = Forward {
            cookies: CookieHeader::of(&jar, &Standing::Anonymous, self.world.now()),
            ..Forward::UNCHANGED
        };
        let reply = origin
            .send(&forward)
            .await
            .map_err(|Unavailable(code)| Own::new(OwnKind::BadGateway, code))?;
        let all = reply.set_cookies();
        let now = self.world.now();
        let is_ours = |line: &&String| {
            SetCookie::parse(line, now).is_some_and(|line| self.is_protected(&line.name))
        };
        let (dropped, kept): (Vec<_>, Vec<_>) = all.iter().partition(is_ours);
        if !dropped.is_empty() {
            self.world
                .record(&Event::new("foreign_session_cookie_dropped", None));
        }
        let apps = self.config.apps.iter();
        let changes = Changes {
            drop_headers: apps
                .flat_map(|app| announcement::headers_in(app, &reply))
                .collect(),
            set_cookies: (!dropped.is_empty()).then(|| kept.into_iter().cloned().collect()),
            ..Changes::default()
        };
        Ok((reply, changes))
    }

    /// Whether an app on this host calls a session cookie so.
    fn is_protected(&self, name: &str) -> bool {
        let host = url::without_port(self.request.host);
        self.config
            .apps
            .iter()
            .any(|app| app.session_cookies.may_mean(name) && app.is_at(host))
    }
}
