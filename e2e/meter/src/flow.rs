//! A flow: two ends, and what goes each way.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::Result;

use crate::{
    config::{FlowConfig, Kind},
    connection::Connection,
    datagrams::Datagrams,
    record::Record,
    way::{Direction, Moment, Way},
};

pub(crate) struct Flow {
    number: u16,
    pub(crate) names: [String; 2],
    ends: Ends,
    ways: [Mutex<Way>; 2],
    began: Instant,
}

enum Ends {
    Datagrams(Datagrams),
    Connection(Connection),
}

impl Flow {
    pub(crate) fn open(number: u16, config: &FlowConfig, began: Instant) -> Result<Self> {
        let ends = match config.kind {
            Kind::Udp => Ends::Datagrams(Datagrams::open(config)?),
            Kind::TcpOut | Kind::TcpIn => Ends::Connection(Connection::open(config)?),
        };
        let kind = if config.kind == Kind::Udp { "UDP" } else { "TCP" };
        let (customer, internet) = (format!("{}:{}", config.customer, config.customer_port), config.internet);
        let names = [format!("{kind} {customer} -> {internet}"), format!("{kind} {internet} -> {customer}")];
        Ok(Self { number, names, ends, ways: Default::default(), began })
    }

    pub(crate) fn is_connection(&self) -> bool {
        matches!(self.ends, Ends::Connection(_))
    }

    /// Why it has ended before its time, if it has.
    pub(crate) fn broken(&self) -> Option<String> {
        match &self.ends {
            Ends::Datagrams(_) => None,
            Ends::Connection(connection) => connection.broken(),
        }
    }

    pub(crate) fn way(&self, direction: Direction) -> MutexGuard<'_, Way> {
        self.ways[direction as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the next record, unless there is no room for it.
    pub(crate) fn send(&self, direction: Direction) {
        // Noted before it is sent: the other thread may have it at once.
        let number = {
            let mut way = self.way(direction);
            way.send(self.now());
            way.next() - 1
        };
        let record = Record { flow: self.number, direction, number: number as u32 };
        let taken = match &self.ends {
            Ends::Datagrams(datagrams) => datagrams.send(direction, &record.encode()),
            Ends::Connection(connection) => connection.send(direction, || record.encode()),
        };
        if !taken {
            self.way(direction).take_back();
        }
    }

    /// Takes what has come.
    pub(crate) fn receive(&self, direction: Direction) {
        let take = |bytes: &[u8]| {
            let now = self.now();
            let mut way = self.way(direction);
            match Record::decode(bytes) {
                Some(record) if record.flow == self.number && record.direction == direction => {
                    way.arrive(record.number as usize, now);
                }
                _ => way.damaged += 1,
            }
        };
        match &self.ends {
            Ends::Datagrams(datagrams) => datagrams.receive(direction, take),
            Ends::Connection(connection) => connection.receive(direction, take),
        }
    }

    /// What to wait at for records of a direction.
    pub(crate) fn receiver(&self, direction: Direction) -> BorrowedFd<'_> {
        match &self.ends {
            Ends::Datagrams(datagrams) => datagrams.receiver(direction).as_fd(),
            Ends::Connection(connection) => connection.receiver(direction).as_fd(),
        }
    }

    fn now(&self) -> Moment {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
