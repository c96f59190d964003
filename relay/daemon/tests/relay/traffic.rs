//! Numbered packets both ways while something happens, and which of them did not arrive.

use std::{
    fmt,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, sleep},
    time::{Duration, Instant},
};

use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::{
    node::BR,
    pod::{CUSTOMER, HOST, PORT, Pod, udp},
};

/// How long after the last packet another may arrive.
const LATE: Duration = Duration::from_secs(1);

/// More than is sent meanwhile.
const BUFFER: usize = 64 << 20;

/// What happened to one direction's packets.
pub(crate) struct Flow {
    pub(crate) sent: usize,
    pub(crate) lost: usize,
    /// The most in a row: as there are a thousand in a second, milliseconds.
    pub(crate) longest: usize,
}

/// Both directions.
pub(crate) struct Traffic {
    pub(crate) to_ce: Flow,
    pub(crate) from_ce: Flow,
}

impl Traffic {
    pub(crate) fn lost(&self) -> usize {
        self.to_ce.lost + self.from_ce.lost
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, Flow { sent, lost, longest }) in [("to CE", &self.to_ce), (", from CE", &self.from_ce)] {
            write!(f, "{name}: {sent} sent, {lost} lost ({longest} in a row)")?;
        }
        Ok(())
    }
}

/// Sends a thousand packets in a second each way while something happens.
pub(crate) fn during(pod: &Pod, meanwhile: impl FnOnce()) -> Traffic {
    let (host, ce) = (pod.host(0), pod.ce());
    set_socket_recv_buffer_size_force(ce.socket(), BUFFER).unwrap();
    set_socket_recv_buffer_size_force(&host, BUFFER).unwrap();
    let to = SocketAddr::new(HOST.parse().unwrap(), host.local_addr().unwrap().port());
    let over = Arc::new(AtomicBool::new(false));
    let to_ce = {
        let host = host.try_clone().unwrap();
        send(&over, move |number| _ = host.send_to(&number.to_be_bytes(), (CUSTOMER, PORT)).unwrap())
    };
    let from_ce = {
        let ce = pod.ce();
        let (br, customer) = (BR.parse().unwrap(), CUSTOMER.parse().unwrap());
        send(&over, move |number| ce.send(br, &udp((customer, PORT), to, &number.to_be_bytes())))
    };
    meanwhile();
    over.store(true, Relaxed);
    let [to_ce, from_ce] = [to_ce, from_ce].map(|sender| sender.join().unwrap());
    Traffic {
        to_ce: Flow::new(to_ce, || ce.receive(LATE)?.get(28..36)?.try_into().ok()),
        from_ce: Flow::new(from_ce, || receive(&host)),
    }
}

fn send(over: &Arc<AtomicBool>, send: impl Fn(u64) + Send + 'static) -> thread::JoinHandle<usize> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        let begun = Instant::now();
        for number in 0.. {
            if over.load(Relaxed) {
                return number as usize;
            }
            send(number);
            // A thousand in a second, however late this thread is woken.
            sleep(Duration::from_millis(number).saturating_sub(begun.elapsed()));
        }
        unreachable!("nobody sends that many")
    })
}

fn receive(host: &UdpSocket) -> Option<[u8; 8]> {
    host.set_read_timeout(Some(LATE)).unwrap();
    let mut number = [0; 8];
    host.recv(&mut number).ok().map(|_| number)
}

impl Flow {
    fn new(sent: usize, mut next: impl FnMut() -> Option<[u8; 8]>) -> Self {
        let mut arrived = vec![false; sent];
        while let Some(number) = next() {
            arrived[u64::from_be_bytes(number) as usize] = true;
        }
        let lost = arrived.iter().filter(|arrived| !**arrived).count();
        let longest = arrived.split(|arrived| *arrived).map(<[bool]>::len).max().unwrap_or(0);
        Self { sent, lost, longest }
    }
}
