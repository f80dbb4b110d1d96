//! Records of authorization codes in memory.

use std::{cell::RefCell, collections::HashMap};

use super::{FakeWorld, Fault};
use crate::{
    app::ports::{Codes, Unavailable, World as _},
    domain::authorization_code::{self, Answer, CodeKey, Command, Record},
};

pub struct FakeCodes<'a> {
    world: &'a FakeWorld,
    pub records: RefCell<HashMap<CodeKey, Record>>,
}

impl<'a> FakeCodes<'a> {
    pub fn new(world: &'a FakeWorld) -> Self {
        Self {
            world,
            records: RefCell::default(),
        }
    }
}

impl Codes for FakeCodes<'_> {
    async fn tell(&self, code: &CodeKey, command: &Command) -> Result<Answer, Unavailable> {
        let name = match command {
            Command::Open(_) => "open",
            Command::Redeem(_) => "redeem",
            Command::Close(_) => "close",
        };
        let fault = self.world.faults.next(name);
        if fault == Some(Fault::Hang) {
            std::future::pending::<()>().await;
        }
        if fault == Some(Fault::Before) {
            return Err(Unavailable("codes_failed"));
        }
        let mut records = self.records.borrow_mut();
        let before = records.get(code).copied();
        let (after, answer) = authorization_code::obey(before, command, self.world.now());
        match after {
            Some(record) => records.insert(*code, record),
            None => records.remove(code),
        };
        match fault {
            Some(Fault::After) => Err(Unavailable("codes_failed")),
            _ => Ok(answer),
        }
    }
}
