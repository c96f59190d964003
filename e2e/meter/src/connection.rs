//! The two ends of a TCP connection. TCP mends its gaps itself: every record has to come, whole, once and in time.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::net::{
    AddressFamily, SocketType, bind, connect, socket,
    sockopt::{set_socket_linger, set_socket_reuseaddr},
};

use crate::{
    config::{FlowConfig, Kind},
    namespace::inside,
    record,
    way::Direction,
};

pub(crate) struct Connection {
    customer: TcpStream,
    internet: TcpStream,
    /// What the sender has of a record that did not fit, by direction.
    unsent: [Mutex<Vec<u8>>; 2],
    /// What has come of a record that is not whole.
    unread: [Mutex<Vec<u8>>; 2],
    broken: Mutex<Option<String>>,
}

impl Connection {
    pub(crate) fn open(config: &FlowConfig) -> Result<Self> {
        let any = |port| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
        let (customer, internet) = if config.kind == Kind::TcpOut {
            let listener = listen(&config.internet_namespace, config.internet)?;
            let opened = open(&config.customer_namespace, any(config.customer_port), config.internet)?;
            (opened, listener.accept()?.0)
        } else {
            let listener = listen(&config.customer_namespace, any(config.customer_port))?;
            let opened = open(&config.internet_namespace, config.internet, config.public)?;
            (listener.accept()?.0, opened)
        };
        for end in [&customer, &internet] {
            end.set_nodelay(true)?;
            end.set_nonblocking(true)?;
            // It ends with a reset: the next run has the same ports, and would have to wait for them.
            set_socket_linger(end, Some(Duration::ZERO))?;
        }
        Ok(Self {
            customer,
            internet,
            unsent: Default::default(),
            unread: Default::default(),
            broken: Mutex::default(),
        })
    }

    fn sender(&self, direction: Direction) -> &TcpStream {
        match direction {
            Direction::FromCe => &self.customer,
            Direction::ToCe => &self.internet,
        }
    }

    pub(crate) fn receiver(&self, direction: Direction) -> &TcpStream {
        match direction {
            Direction::FromCe => &self.internet,
            Direction::ToCe => &self.customer,
        }
    }

    /// Why it has ended before its time, if it has.
    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the record is taken: the one before has to be sent whole.
    pub(crate) fn send(&self, direction: Direction, record: impl FnOnce() -> Vec<u8>) -> bool {
        let mut unsent = self.unsent[direction as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = unsent.is_empty();
        if fresh {
            *unsent = record();
        }
        match self.sender(direction).write(&unsent) {
            Ok(length) => drop(unsent.drain(..length)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => self.note(error.to_string()),
        }
        fresh
    }

    pub(crate) fn receive(&self, direction: Direction, mut take: impl FnMut(&[u8])) {
        let mut unread = self.unread[direction as usize].lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = [0; 1 << 16];
        match self.receiver(direction).read(&mut buffer) {
            Ok(0) => self.note("the other end has closed it".to_owned()),
            Ok(length) => unread.extend(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => self.note(error.to_string()),
        }
        while let Some(length) = record::length(&unread).filter(|length| *length <= unread.len()) {
            take(&unread[..length]);
            unread.drain(..length);
        }
    }

    /// The first reason is the one that counts.
    fn note(&self, reason: String) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
    }
}

fn listen(namespace: &Path, here: SocketAddrV4) -> Result<TcpListener> {
    inside(namespace, || TcpListener::bind(here).with_context(|| format!("listening at {here}")))
}

fn open(namespace: &Path, here: SocketAddrV4, there: SocketAddrV4) -> Result<TcpStream> {
    inside(namespace, || {
        let opener = socket(AddressFamily::INET, SocketType::STREAM, None)?;
        set_socket_reuseaddr(&opener, true)?;
        bind(&opener, &here).with_context(|| format!("binding {here}"))?;
        connect(&opener, &there).with_context(|| format!("connecting {here} to {there}"))?;
        Ok(TcpStream::from(opener))
    })
}
