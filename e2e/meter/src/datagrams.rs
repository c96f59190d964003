//! The two ends of a flow of UDP datagrams.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddrV4, UdpSocket},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::{config::FlowConfig, namespace::inside, record::LARGEST, way::Direction};

const HELLO: &[u8] = b"hello";
/// How long a flow may take to begin.
const PATIENCE: Duration = Duration::from_secs(20);
/// Room for a receiver that does not get to run for a while.
const BUFFER: usize = 16 << 20;
/// So many datagrams of a flow are taken before others have their turn.
const TURN: usize = 64;

pub(crate) struct Datagrams {
    customer: UdpSocket,
    internet: UdpSocket,
}

impl Datagrams {
    /// Opens both ends and says hello until both have heard: the customer's NAPT knows the flow then.
    pub(crate) fn open(config: &FlowConfig) -> Result<Self> {
        let here = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, config.customer_port);
        let customer = socket(&config.customer_namespace, here, config.internet)?;
        let internet = socket(&config.internet_namespace, config.internet, config.public)?;
        greet(&customer, &internet)
            .and_then(|()| greet(&internet, &customer))
            .with_context(|| format!("{}:{here} and {}", config.customer, config.internet))?;
        for end in [&customer, &internet] {
            end.set_nonblocking(true)?;
        }
        Ok(Self { customer, internet })
    }

    fn sender(&self, direction: Direction) -> &UdpSocket {
        match direction {
            Direction::FromCe => &self.customer,
            Direction::ToCe => &self.internet,
        }
    }

    pub(crate) fn receiver(&self, direction: Direction) -> &UdpSocket {
        match direction {
            Direction::FromCe => &self.internet,
            Direction::ToCe => &self.customer,
        }
    }

    /// Whether the datagram counts as sent. One that has no way out does: it is lost.
    pub(crate) fn send(&self, direction: Direction, bytes: &[u8]) -> bool {
        let sender = self.sender(direction);
        match sender.send(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            // Somebody's ICMP error about an earlier one, which the socket has told now.
            Err(_) => !sender.send(bytes).is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
            Ok(_) => true,
        }
    }

    pub(crate) fn receive(&self, direction: Direction, mut take: impl FnMut(&[u8])) {
        let mut buffer = [0; LARGEST + 1];
        for _ in 0..TURN {
            match self.receiver(direction).recv(&mut buffer) {
                Ok(length) if &buffer[..length] == HELLO => {}
                Ok(length) => take(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {} // an ICMP error; what was lost is missing by its number
            }
        }
    }
}

fn socket(namespace: &Path, here: SocketAddrV4, there: SocketAddrV4) -> Result<UdpSocket> {
    inside(namespace, || {
        let socket = UdpSocket::bind(here).with_context(|| format!("binding {here}"))?;
        set_socket_recv_buffer_size_force(&socket, BUFFER)?;
        socket.connect(there).with_context(|| format!("connecting {here} to {there}"))?;
        Ok(socket)
    })
}

fn greet(sender: &UdpSocket, receiver: &UdpSocket) -> Result<()> {
    receiver.set_read_timeout(Some(Duration::from_millis(200)))?;
    let (started, mut buffer) = (Instant::now(), [0; LARGEST]);
    while started.elapsed() < PATIENCE {
        if sender.send(HELLO).is_ok() && receiver.recv(&mut buffer).is_ok_and(|length| &buffer[..length] == HELLO) {
            return Ok(());
        }
    }
    bail!("no packet crosses the fleet")
}
